import pytest

from lightning_gradwatch.records import Event
from lightning_gradwatch.verify import follow_up
from tests.reference.records import FINDING, chain, frame

EVENT = Event(step=100, action="decay_lr", finding="vanishing:loss", reason="why")


def frames(steps, lost, loss):
    return [frame(s, chain(*[-lost / 5] * 5), loss=loss + 0.01 * (s % 3)) for s in steps]


@pytest.mark.parametrize(
    ("lost", "loss", "effect", "words"),
    [
        (6.0, 2.0, "same", "10^-6.0 before, 10^-6.0 after; loss 2.01 before, 2.01 after"),
        (2.0, 2.0, "better", "it helped: gradient at the most starved layer 10^-6.0 before, 10^-2.0 after"),
        (9.0, 1.0, "worse", "10^-9.0 after"),
        (6.0, 1.0, "better", "loss 2.01 before, 1.01 after"),
        (6.0, 3.0, "worse", "loss 2.01 before, 3.01 after"),
    ],
    ids=["nothing", "flow rises", "flow falls", "loss falls", "loss rises"],
)
def test_effect(lost, loss, effect, words):
    followed = follow_up(
        EVENT, FINDING, frames(range(90, 101, 2), 6.0, 2.0) + frames(range(150, 160, 2), lost, loss), 50
    )
    assert followed.effect == effect
    assert words in followed.effect_sentence
    assert (followed.step, followed.action) == (EVENT.step, EVENT.action)


@pytest.mark.parametrize(
    "measured",
    [[], frames(range(90, 140, 2), 6.0, 2.0), frames(range(101, 200), 6.0, 2.0), frames((90, 99, 100, 160), 6.0, 2.0)],
    ids=["nothing measured", "too early", "nothing before", "one frame after"],
)
def test_too_early(measured):
    assert follow_up(EVENT, FINDING, measured, 50) is None


def test_the_ledger_of_the_finding_is_compared():
    other = chain(*[-0.1] * 5, name="loss[1]")
    measured = [frame(s, other, chain(*[-(1.2 if s <= 100 else 0.1)] * 5)) for s in range(90, 160, 5)]
    assert follow_up(EVENT, FINDING, measured, 50).effect == "better"


def test_without_ledger_and_loss_it_says_so():
    followed = follow_up(EVENT, None, [frame(s, loss=None) for s in range(90, 160, 5)], 50)
    assert (followed.effect, "nothing was measured" in followed.effect_sentence) == ("same", True)
