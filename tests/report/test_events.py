import dataclasses

import pytest

from lightning_gradwatch.records import Event, Kind
from lightning_gradwatch.report.events import caveat, event_line, standing
from tests.report.samples import DECAY, HOSTILE

TREAT = Event(
    step=3,
    action="treat",
    finding="vanishing:loss",
    reason="proved on copies",
    old=(2.3,),
    new=(1.7,),
    effect="better",
    treatment="Initialize('he')",
    patch="-old\n+new",
)
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
    "treated": (
        TREAT,
        "step 3: treated with Initialize('he'), loss ahead 2.3 -> 1.7 (proved on copies). Since then: better.",
    ),
    "nothing was proved": (
        Event(step=9, action="no_cure", finding="vanishing:loss", reason="none did better."),
        "step 9: left as it is (none did better).",
    ),
    "taken back": (
        Event(step=60, action="undo_treat", finding="x", reason="it did harm", treatment="Initialize('he')"),
        "step 60: took back Initialize('he') (it did harm).",
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


def test_a_treatment_that_was_taken_back_does_not_stand():
    second = dataclasses.replace(TREAT, step=70, treatment="AddResidual()")
    undo = Event(step=60, action="undo_treat", finding="x", reason="harm")
    assert standing([TREAT, undo, second]) == [second]
    assert standing([TREAT, second, undo]) == [TREAT]
    assert standing([undo]) == []
