import pytest

from tests.diagnose.made import answer, causes, found, given, net, op, past
from tests.reference.records import frame

DEAD = found("dead_units", None, "net.0")


def dead(rms=1.0, share=1.0):
    return frame(20, given(rms), operations=(op("net.0", "Relu", dead=share, silent=share),), rates=(0.1,))


BEGAN, DIED = past(dead={"net.0": 0.9}), past(dead={"net.0": 0.05}, boldest=(0.6, "net.0.weight", 2))


def test_units_that_started_dead():
    told = answer("GW303", DEAD, dead(), history=BEGAN)
    assert told.holds
    assert told.weight == 1.0
    assert told.sentence.startswith("90% of the units were dead on the first step already")


def test_units_that_were_alive_did_not_start_dead():
    assert not answer("GW303", DEAD, dead(), history=DIED).holds


def test_the_start_is_not_known():
    assert answer("GW303", DEAD, dead(), history=past()) is None
    assert answer("GW303", DEAD, frame(20), history=BEGAN) is None


def test_the_activation_bears_a_part_always_and_all_of_it_where_nobody_is_known():
    assert causes(DEAD, dead(), history=BEGAN) == pytest.approx({"GW303": 0.8, "GW103": 0.2})
    assert causes(DEAD, dead(), history=past()) == {"GW103": 1.0}
    assert answer("GW103", DEAD, frame(20)) is None


@pytest.mark.parametrize(
    ("one", "history", "first"),
    [(dead(), BEGAN, "GW303"), (dead(100.0), BEGAN, "GW311"), (dead(100.0), DIED, "GW601"), (dead(), DIED, "GW601")],
    ids=["biases", "input", "died later, input large", "died later"],
)
def test_first_cause(one, history, first):
    assert next(iter(causes(DEAD, one, net(), history))) == first
