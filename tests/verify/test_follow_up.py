"""What is said of an action, from steps made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lightning_gradwatch.records import Kind
from lightning_gradwatch.verify import follow_up
from tests.verify.steps import event, finding, ledger, pulses

BEFORE, AFTER = range(0, 51, 5), range(55, 111, 5)


def either(before, after):
    """A series that has one value up to the event at step 50 and another after it."""
    return lambda step: before if step <= 50 else after


def wobble(size, after=None):
    """+-size around 0, in a pattern that no trend explains."""
    return lambda step: (size if step <= 50 or after is None else after) * (1, -0.5, 0.3, -1, 0.2)[step // 5 % 5]


def followed(kind=Kind.VANISHING, wait=50, **series):
    got = follow_up(event(), finding(kind), pulses((*BEFORE, *AFTER), **series), wait)
    assert got is not None
    assert got.effect_sentence.endswith(".")
    return got


CASES = {
    "the flow came back": ("better", Kind.VANISHING, {"flow": either(-8.0, -1.0)}),
    "the flow came back a little": ("same", Kind.VANISHING, {"flow": either(-8.0, -7.6)}),
    "the flow died further": ("worse", Kind.VANISHING, {"flow": either(-4.0, -8.0)}),
    "it went from vanishing to exploding": ("worse", Kind.VANISHING, {"flow": either(-2.0, 5.0)}),
    "the flow's change drowns in its noise": (
        "same",
        Kind.VANISHING,
        {"flow": lambda s: either(-8.0, -7.0)(s) + wobble(1.0)(s)},
    ),
    "it died completely": ("worse", Kind.VANISHING, {"flow": either(-8.0, -math.inf)}),
    "dead before and after": ("same", Kind.VANISHING, {"flow": -math.inf}),
    "an explosion along the depth calmed": ("better", Kind.EXPLODING, {"flow": either(6.0, 1.0)}),
    "a loss that stood fell": ("better", Kind.VANISHING, {"loss": either(2.3, 1.1)}),
    "a loss that fell anyway falls on": ("same", Kind.VANISHING, {"loss": lambda s: 3.0 - 0.02 * s}),
    "a loss that fell falls faster": (
        "better",
        Kind.VANISHING,
        {"loss": lambda s: 3.0 - 0.004 * s - max(0, s - 50) * 0.03},
    ),
    "the loss rose": ("worse", Kind.VANISHING, {"loss": either(2.3, 3.0)}),
    "the loss rose within its noise": (
        "same",
        Kind.VANISHING,
        {"loss": lambda s: either(2.3, 2.6)(s) + wobble(0.3)(s)},
    ),
    "the loss broke": ("worse", Kind.VANISHING, {"loss": either(2.3, math.nan)}),
    "the loss healed": ("better", Kind.NONFINITE, {"loss": either(math.nan, 2.3)}),
    "the flow came back, the loss rose": (
        "worse",
        Kind.VANISHING,
        {"flow": either(-8.0, -1.0), "loss": either(2.3, 4.0)},
    ),
    "steadier, which does not cure vanishing": ("same", Kind.VANISHING, {"norm": lambda s: 10 ** wobble(0.6, 0.05)(s)}),
    "steadier, which is what explosions need": (
        "better",
        Kind.EXPLODING,
        {"norm": lambda s: 10 ** wobble(0.6, 0.05)(s)},
    ),
    "wilder": ("worse", Kind.EXPLODING, {"norm": lambda s: 10 ** wobble(0.05, 0.6)(s)}),
    "quiet and quieter": ("same", Kind.EXPLODING, {"norm": lambda s: 10 ** wobble(0.04, 0.01)(s)}),
    "nothing changed": ("same", Kind.VANISHING, {}),
}


@pytest.mark.parametrize(("effect", "kind", "series"), CASES.values(), ids=list(CASES))
def test_effect(effect, kind, series):
    got = followed(kind, **series)
    assert got.effect == effect, got.effect_sentence


def test_the_sentence_has_the_numbers():
    got = followed(
        flow=either(-8.0, -1.25), loss=lambda s: either(2.3, 1.1)(s) + wobble(0.01)(s), norm=either(1.0, 0.1)
    )
    assert got.effect_sentence == (
        "better after 60 steps: gradient flow -8.0 -> -1.2 decades, loss 2.3 -> 1.1, its noise 0.01 -> 0.01, "
        "noise of the gradient norm 0.00 -> 0.00 decades."
    )
    assert "no clear change after 60 steps" in followed().effect_sentence


def test_one_wild_step_on_either_side_changes_nothing():
    got = followed(flow=lambda s: 30.0 if s in (20, 80) else -8.0, loss=lambda s: 1e9 if s in (20, 80) else 2.3)
    assert got.effect == "same", got.effect_sentence


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "wait", "told"),
    [
        pytest.param((), 50, False, id="nothing measured since"),
        pytest.param(range(51, 100), 50, False, id="one step short"),
        pytest.param(range(51, 101), 50, True, id="exactly there"),
        pytest.param((100, 150), 50, False, id="two measured steps are no median"),
        pytest.param((100, 150, 200), 50, True, id="three are"),
        pytest.param((51, 52, 53), 3, True, id="a short wait"),
        pytest.param((51, 52, 53), 0, True, id="no wait"),
    ],
)
def test_too_early(steps, wait, told):
    got = follow_up(event(), finding(), pulses((*BEFORE, *steps)), wait)
    assert (got is not None) is told


def test_skipped_steps_are_no_measurement():
    after = pulses(range(51, 120), skipped=True, loss=math.inf, flow=None)
    assert follow_up(event(), finding(), pulses(BEFORE) + after, 50) is None


def test_an_effect_is_told_once():
    done = event(effect="better", effect_sentence="as told before.")
    assert follow_up(done, finding(), pulses((*BEFORE, *AFTER), flow=either(-1.0, -8.0)), 50) is done


def test_everything_else_of_the_event_stays():
    got = follow_up(event(old=(0.1,), new=(0.01,)), finding(), pulses((*BEFORE, *AFTER)), 50)
    assert (got.step, got.action, got.finding, got.old, got.new) == (50, "decay_lr", "vanishing:loss", (0.1,), (0.01,))


# --- what is missing -------------------------------------------------------------------------------------------------


def test_nothing_before_is_said_and_not_called_an_effect():
    got = follow_up(event(), finding(), pulses(AFTER), 50)
    assert got.effect == "same"
    assert got.effect_sentence == "no change can be shown after 60 steps: nothing was measured before."


def test_one_step_before_is_too_little_to_praise_a_falling_loss():
    got = follow_up(event(), finding(), pulses((50, *AFTER), loss=either(2.3, 1.0)), 50)
    assert got.effect == "same"
    assert "loss 2.3 -> 1" in got.effect_sentence


def test_nothing_comparable():
    got = followed(flow=None, loss=None, norm=None)
    assert (got.effect, got.effect_sentence) == (
        "same",
        "no clear change after 60 steps: nothing comparable was measured.",
    )


def test_without_its_finding_all_signs_count():
    got = follow_up(event(), None, pulses((*BEFORE, *AFTER), norm=lambda s: 10 ** wobble(0.6, 0.05)(s)), 50)
    assert got.effect == "better"


def test_the_ledger_is_the_one_of_the_finding():
    def both(step):
        return (ledger(-1.0 if step <= 50 else -9.0, "loss[1]"), ledger(-8.0 if step <= 50 else -1.0))

    assert followed(ledgers=both).effect == "better"
    other = follow_up(event(finding="vanishing:gone"), None, pulses((*BEFORE, *AFTER), ledgers=both), 50)
    assert "-8.0 -> -9.0" in other.effect_sentence  # the worst of all, where the name says nothing


def test_only_as_many_steps_before_as_after():
    long_ago = pulses(range(30), flow=-1.0)
    got = follow_up(event(), finding(), long_ago + pulses((*range(35, 51, 5), 60, 80, 100)), 50)
    assert "flow -8.0 -> -8.0" in got.effect_sentence


TREATED = {
    "the loss fell, though the flow is another one": ("better", {"loss": either(2.3, 0.3), "flow": either(-0.1, 1.7)}),
    "the loss rose, though the flow came back": ("worse", {"loss": either(1.0, 2.0), "flow": either(-8.0, 0.0)}),
    "another flow, that is no ill one": ("same", {"loss": 1.0, "flow": either(-0.1, 1.7)}),
    "a flow that is ill now": ("worse", {"loss": 1.0, "flow": either(-0.1, -6.0)}),
    "the flow came back": ("better", {"loss": 1.0, "flow": either(-8.0, -0.5)}),
}


@pytest.mark.parametrize(("effect", "series"), TREATED.values(), ids=TREATED)
def test_a_treatment_is_judged_by_its_loss_first(effect, series):
    got = follow_up(replace(event(), action="treat"), None, pulses((*BEFORE, *AFTER), **series), 50)
    assert got.effect == effect


def test_a_treatment_is_compared_with_the_sick_steps_only():
    def late(step):
        return 0.1 if step < 40 else 3.0 if step <= 50 else 1.0

    sick = replace(finding(Kind.VANISHING), first_step=40)
    taken = pulses((*BEFORE, *AFTER), loss=late)
    assert follow_up(replace(event(), action="treat"), sick, taken, 50).effect == "better"
    assert follow_up(event(), sick, taken, 50).effect == "worse"
