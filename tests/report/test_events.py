import dataclasses

import pytest

from lightning_gradwatch.records import Event, Kind
from lightning_gradwatch.report.events import caveat, event_line
from tests.report.samples import DECAY, HOSTILE

LINES = {
    "decay with its effect": (
        DECAY,
        "step 12: learning rate 0.001 -> 0.0005 (the gradient vanishes). Since then: the loss stands where it stood.",
    ),
    "equal groups once": (
        dataclasses.replace(DECAY, old=(0.1, 0.1), new=(0.05, 0.05), effect=None),
        "step 12: learning rate 0.1 -> 0.05 (the gradient vanishes).",
    ),
    "many groups": (
        dataclasses.replace(
            DECAY, old=(1.0, 2.0, 3.0, 4.0, 5.0), new=(0.5, 1.0, 1.5, 2.0, 2.5), effect="better", effect_sentence=None
        ),
        "step 12: learning rate 1 -> 0.5, 2 -> 1, 3 -> 1.5 and 2 more (the gradient vanishes). Since then: better.",
    ),
    "stop": (
        Event(step=7, action="stop", finding="vanishing:loss", reason="it is critical."),
        "step 7: stopped the fit (it is critical).",
    ),
    "an action of a later version": (
        Event(step=7, action="swap_optimizer", finding="x", reason="r"),
        "step 7: swap optimizer (r).",
    ),
}


@pytest.mark.parametrize(("event", "line"), LINES.values(), ids=LINES)
def test_event_line(event, line):
    assert event_line(event) == line


def test_hostile_reason_stays_one_line():
    assert event_line(dataclasses.replace(DECAY, reason=HOSTILE)).isprintable()


@pytest.mark.parametrize("kind", Kind)
def test_decay_is_never_sold_as_a_cure_of_a_dead_path(kind):
    dead = kind in (Kind.VANISHING, Kind.DISCONNECTED, Kind.DEAD_UNITS)
    assert ("does not repair" in caveat(kind, DECAY)) == dead
    assert caveat(kind, dataclasses.replace(DECAY, action="stop")) == ""
