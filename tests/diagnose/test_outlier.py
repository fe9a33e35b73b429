import math

from tests.diagnose.made import answer, causes, found, given, past
from tests.reference.records import frame

SPIKE = found("exploding", first=8)


def test_out_of_the_blue():
    told = answer("GW312", SPIKE, frame(9, given(3.0)), history=past())
    assert told.holds
    assert "the 8 measured steps before were calm" in told.sentence
    assert next(iter(causes(SPIKE, frame(9), history=past()))) == "GW312"


def test_weights_that_leap_because_of_it_do_not_excuse_it():
    assert answer("GW312", SPIKE, frame(9), history=past(boldest=(3.0, "a.weight", 8))).holds


def test_announced():
    climbing = past(norms=[0.0, 0, 0, 0, 0, 1.2, 2.2, 4])
    assert not answer("GW312", SPIKE, frame(9), history=climbing).holds
    assert not answer("GW312", SPIKE, frame(9), history=past(boldest=(0.5, "a.weight", 5))).holds
    assert next(iter(causes(SPIKE, frame(9), history=climbing))) == "GW601"


def test_a_rate_that_a_schedule_has_raised_is_asked_first():
    warm = past(top_rate=0.1, rate=0.01)
    assert not answer("GW312", SPIKE, frame(9), history=warm).holds
    assert next(iter(causes(SPIKE, frame(9), history=warm))) == "GW601"


def test_a_batch_that_threw_all_weights_away_while_nobody_measured():
    """Calm steps up to 3; the next measured step stands 20 decades above them, and the finding opens after that."""
    history = past(losses=[1.0] * 6, norms=[0.0] * 4 + [19.0, 19.0], boldest=(5e12, "a.weight", 4), top_rate=0.05)
    assert next(iter(causes(found("nonfinite", first=6), frame(6, loss=math.nan), history=history))) == "GW312"


def test_too_early_to_tell():
    assert answer("GW312", found("exploding", first=2), frame(3)) is None
    assert answer("GW312", found("exploding", "exploding:loss"), frame(9)) is None


def test_broken_numbers_after_a_calm_fit_and_after_an_explosion():
    broken = found("nonfinite", first=8)
    assert next(iter(causes(broken, frame(8, loss=math.nan), history=past()))) == "GW312"
    climbing = past(losses=[1.0, 1, 1, 2, 9, 99, 1e3, 1e5], norms=[0.0, 0, 0, 1, 2, 3, 5, 8], updates=[0.5] * 8)
    assert next(iter(causes(broken, frame(8, loss=math.nan), history=climbing))) == "GW601"
