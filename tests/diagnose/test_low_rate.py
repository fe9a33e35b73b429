import pytest

from tests.diagnose.made import answer, causes, found, optimizer, weight
from tests.reference.records import frame

STILL = found("stalled")


def still(rate=1e-7, kind="SGD", eps=None, norm=1.0):
    return frame(
        20, parameters=(weight("net.0", norm=norm, update=1e-9),), rates=(rate,), optimizers=(optimizer(kind, eps),)
    )


def test_a_rate_far_below_an_ordinary_one():
    told = answer("GW602", STILL, still(1e-7))
    assert told.weight == pytest.approx(5.0)
    assert told.sentence == "the rate is 1e-07, where 0.01 is ordinary for SGD"
    assert causes(STILL, still(1e-7)) == {"GW602": 1.0}


def test_an_ordinary_rate_is_named_last():
    told = answer("GW602", STILL, still(0.1))
    assert told.weight == 0.1
    assert "too low for gradients this small" in told.sentence


def test_a_rate_of_nothing_is_no_evidence():
    assert answer("GW602", STILL, still(0.0)) is None


def test_gradients_near_eps():
    """A root mean square of 1e-9 beside an eps of 1e-8: 1/11 of a step is left."""
    one = still(1e-3, "Adam", 1e-8, 64e-9)
    told = answer("GW603", STILL, one)
    assert 10**told.weight == pytest.approx(11.0)
    assert "its steps are 11 times shorter" in told.sentence
    assert next(iter(causes(STILL, one))) == "GW603"


def test_gradients_far_above_eps_and_optimizers_without_one():
    assert not answer("GW603", STILL, still(1e-3, "Adam", 1e-8)).holds
    assert answer("GW603", STILL, still()) is None
