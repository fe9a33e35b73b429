import math

import pytest

from tests.diagnose.made import XAVIER, answer, causes, found, given, net, op, past, weight
from tests.reference.records import chain, frame

ALONG = found("exploding", "exploding:loss")
OVER = found("exploding", "exploding", first=5)


def test_growth_along_depth():
    told = answer("GW302", ALONG, frame(3, chain(*[0.0] * 10, linear=0.55)), net(10, 3.5 * XAVIER))
    assert told.holds
    assert told.weight == pytest.approx(10 * 0.5)
    assert "3.5 times Xavier's" in told.sentence


def test_weights_of_the_right_size_gain_nothing():
    assert not answer("GW302", ALONG, frame(3, chain(*[0.04] * 100)), net(10)).holds


def test_the_weights_are_not_known():
    assert answer("GW302", OVER, frame(5), net(std=None)) is None
    assert answer("GW302", found("saturation"), frame(5), net(std=None)) is None


def test_a_flat_layer_behind_weights_that_were_fair():
    one = frame(20, given(1.0), operations=(op("net.0", slope=0.01),))
    assert not answer("GW302", found("saturation"), one, net(), past(slopes={"net.0": 0.01})).holds


def test_a_gradient_that_explodes_over_the_fit():
    """10 times Xavier's in 4 layers: 4 decades, the most that count; half of it had all gone well for a while."""
    large = net(3, 10 * XAVIER)
    assert answer("GW302", OVER, frame(5), large, past()).weight == pytest.approx(4.0)
    assert answer("GW302", found("exploding", first=8), frame(8), large, past()).weight == pytest.approx(2.0)
    assert not answer("GW302", OVER, frame(5), net(3), past()).holds


def test_weights_that_have_grown_are_the_learning_rate_s():
    grew = past(weights={"net.0.weight": XAVIER}, boldest=(0.5, "net.0.weight", 2))
    one = frame(5, parameters=(weight("net.0", 4 * XAVIER),), rates=(0.5,))
    assert not answer("GW302", OVER, one, net(3, 10 * XAVIER), grew).holds
    assert next(iter(causes(OVER, one, net(3, 10 * XAVIER), grew))) == "GW601"


def test_broken_on_the_first_step():
    told = causes(found("nonfinite"), frame(0, loss=math.nan), net(20, 30 * XAVIER), past(losses=()))
    assert told == {"GW302": 1.0}


def test_steps_that_are_small_beside_the_weights():
    one = frame(20, parameters=(weight("net.0", 100 * XAVIER, update=1e-8),), rates=(1e-2,))
    assert answer("GW302", found("stalled"), one).weight == pytest.approx(2.0)
    assert causes(found("stalled"), one)["GW302"] > 0.9
