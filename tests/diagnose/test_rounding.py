from dataclasses import replace

import pytest

from tests.diagnose.made import answer, causes, found, optimizer, past, weight
from tests.reference.records import chain, frame

STILL, BROKEN = found("stalled"), found("nonfinite", first=8)


def coarse(*updates, dtype="bfloat16", rate=1e-2):
    readings = tuple(weight(f"net.{i}", update=update, dtype=dtype) for i, update in enumerate(updates))
    return frame(20, parameters=readings, rates=(rate,))


def test_updates_that_round_away():
    told = answer("GW703", STILL, coarse(0.0, 0.0, 1e-3))
    assert "2 of 3 bfloat16 weights get a gradient and hardly move" in told.sentence
    assert next(iter(causes(STILL, coarse(0.0, 0.0, 1e-3)))) == "GW703"


def test_weights_that_move():
    assert not answer("GW703", STILL, coarse(1e-3, 1e-3, 0.0)).holds


@pytest.mark.parametrize("one", [coarse(0.0, dtype="float32"), coarse(0.0, dtype=""), coarse(0.0, rate=0.0)])
def test_does_not_apply(one):
    assert answer("GW703", STILL, one) is None


def test_float16_overflows():
    half = replace(chain(0.0), segments=tuple(replace(s, dtype="float16") for s in chain(0.0).segments))
    assert answer("GW704", BROKEN, frame(8, half)).weight == 2.0
    early = causes(found("nonfinite"), frame(0, half), history=past(losses=()))
    assert early == {"GW704": 1.0}


def test_wider_formats_and_unknown_ones():
    assert not answer("GW704", BROKEN, coarse(1e-3)).holds
    assert answer("GW704", BROKEN, frame(8)) is None


def test_adam_steps_by_its_rate_and_below_the_last_digit_that_is_lost():
    """1e-5 beside weights of 0.125 is 0.008 %, and a bfloat16 ends at 0.4 %."""
    few = replace(coarse(1e-6, 1e-6, rate=1e-5), optimizers=(optimizer("Adam", 1e-8),))
    assert next(iter(causes(STILL, few))) == "GW703"
    assert not answer("GW703", STILL, replace(few, rates=(1e-3,))).holds
