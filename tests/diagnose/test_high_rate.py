import math

import pytest

from tests.diagnose.made import answer, causes, found, given, net, op, optimizer, past, weight
from tests.reference.records import chain, frame

OVER = found("exploding", first=8)
LEAPT = {"updates": [0.1] * 8}


@pytest.mark.parametrize(
    ("kind", "rate", "expected"),
    [("SGD", 0.03, 1.5), ("SGD", 0.3, 2.5), ("SGD", 1e3, 3.0), ("SGD", 1e-9, 0.5), ("Adam", 0.03, 2.5)],
)
def test_weighs_by_its_rate(kind, rate, expected):
    one = frame(9, rates=(rate,), optimizers=(optimizer(kind),))
    assert answer("GW601", OVER, one, history=past(top_rate=rate, **LEAPT)).weight == pytest.approx(expected)


def test_is_named_by_exclusion_where_nothing_leapt():
    assert answer("GW601", OVER, frame(9), history=past()).weight == 0.5


def test_no_step_has_been_made():
    assert not answer("GW601", found("nonfinite"), frame(0), history=past(losses=())).holds


def test_does_not_apply_to_time_and_to_open_activations():
    assert answer("GW601", found("exploding", "exploding_in_time:loss:rnn"), frame(9)) is None
    assert answer("GW601", found("vanishing", "vanishing:loss"), frame(9, chain(-0.6))) is None


def test_activations_that_were_open():
    one = frame(20, given(1.0), operations=(op("net.0", slope=0.01),), rates=(1.0,))
    opened = past(slopes={"net.0": 0.8}, boldest=(0.7, "net.0.weight", 3))
    told = answer("GW601", found("saturation"), one, history=opened)
    assert told.weight == pytest.approx(2.0)
    assert "it began at 80%" in told.sentence
    assert not answer("GW601", found("saturation"), one, history=past(slopes={"net.0": 0.01})).holds


def test_growth_along_depth_that_came_with_the_weights():
    along = found("exploding", "exploding:loss")
    grown = past(weights={"net.0.weight": 0.1})
    one = frame(20, chain(*[0.0] * 10, linear=0.5), parameters=(weight("net.0", 1.0),), rates=(0.1,))
    assert answer("GW601", along, one, net(10), grown).weight == pytest.approx(10 * 0.45)
    assert next(iter(causes(along, one, net(10), grown))) == "GW601"
    assert not answer("GW601", along, frame(3, chain(*[0.0] * 10, linear=0.5)), net(10)).holds


def test_updates_without_end():
    told = answer("GW601", OVER, frame(9, rates=(1.0,)), history=past(boldest=(math.inf, "a", 2), top_rate=1.0))
    assert told.holds
