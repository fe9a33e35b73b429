import math

import pytest

from tests.diagnose.made import XAVIER, answer, causes, found, given, net, op, past
from tests.reference.records import chain, frame

FLAT = found("saturation", None, "net.0")
SHUT = past(slopes={"net.0": 0.01})
OPS = (op("net.0", slope=0.01),)


def test_raw_pixels():
    told = answer("GW311", FLAT, frame(20, given(100.0), operations=OPS), history=SHUT)
    assert told.holds
    assert told.weight == pytest.approx(2.0)  # all that was lost: a hundredth of the slope is left
    assert "net.0 is given numbers with a root mean square of 100" in told.sentence


@pytest.mark.parametrize("rms", [0.1, 1.0, 4.9])
def test_ordinary_inputs(rms):
    assert not answer("GW311", FLAT, frame(20, given(rms), operations=OPS), history=SHUT).holds


def test_the_input_was_not_kept():
    assert answer("GW311", FLAT, frame(20, chain(0.0), operations=OPS), history=SHUT) is None
    assert answer("GW311", found("vanishing", "vanishing:loss"), frame(20, given(100.0, -0.6))) is None


def test_weights_are_weighed_against_it():
    """Weights ten times too large and inputs of ten: half each."""
    told = causes(FLAT, frame(20, given(10.0), operations=OPS), net(std=10 * XAVIER), SHUT)
    assert told == pytest.approx({"GW302": 0.5, "GW311": 0.5})


def test_a_rate_that_is_high_only_for_such_inputs():
    """At an ordinary rate, inputs of a hundred are what is out of scale; at a rate of 1 the rate is."""
    exploding = found("exploding", first=6)
    calm = past(top_rate=0.003, updates=[0.05] * 8)
    wild = past(top_rate=1.0, updates=[0.05] * 8)
    one = frame(8, given(100.0), rates=(1.0,))
    assert next(iter(causes(exploding, one, history=calm))) == "GW311"
    assert next(iter(causes(exploding, one, history=wild))) == "GW601"


def test_growth_along_depth_is_none_of_the_input_s():
    assert not answer("GW311", found("exploding", "exploding:loss"), frame(3, given(100.0, 0.5))).holds


def test_a_batch_that_is_broken():
    one = frame(20, given(math.nan))
    assert "the batch itself" in answer("GW311", found("nonfinite"), one).sentence
    assert next(iter(causes(found("nonfinite"), one))) == "GW311"
    assert not answer("GW311", found("exploding"), one).holds
