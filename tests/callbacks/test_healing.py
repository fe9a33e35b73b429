"""One search for a cure: what it may cost, what it is told, and what is kept of it."""

import pytest
import torch
from torch.utils.data import DataLoader, Subset

from lightning_gradwatch import Initialize, ReplaceActivation
from lightning_gradwatch.callbacks import healing
from lightning_gradwatch.callbacks.healing import Healer
from lightning_gradwatch.cases.data import digits, training_batches
from lightning_gradwatch.cases.fitting import quiet
from lightning_gradwatch.verify.contest import Outcome, Result
from tests.fits.healing import actions, fitted, healer, sick, trainer

CURE = (ReplaceActivation("relu"), Initialize("he"))


@pytest.fixture
def contests(monkeypatch):
    """What was asked of contests, which are answered from a list."""
    asked, answers = [], []

    class Fake:
        def __init__(self, origin, finding, budget):
            asked.append({"budget": budget, "batches": len(origin.batches)})

        def run(self, tries, catch_up):
            asked[-1] |= {"tries": list(tries), "lost": catch_up}
            return answers.pop(0) if answers else Outcome(spent=10.0)

    monkeypatch.setattr(healing, "Contest", Fake)
    return asked, answers


@pytest.mark.parametrize(
    ("steps", "budget", "room"), [(100, 1.3, 0.95 * 30), (100, 2.0, 0.95 * 100), (100_000, 1.3, 0.95 * 300)]
)
def test_a_contest_may_take_a_part_of_what_is_left(steps, budget, room, contests):
    asked, _ = contests

    class Short(type(sick())):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            self.trainer.should_stop = bool(asked)

    module, watch = sick(), healer(budget=budget)
    module.__class__ = Short
    fitted(module, [watch], steps=steps)
    assert asked[0]["budget"] == pytest.approx(room)
    assert watch._watch.healer.spent == 10.0


def test_what_was_tried_in_vain_is_not_tried_again(contests):
    asked, answers = contests
    watch = healer(cooldown_steps=0)
    answers.append(Outcome(results=[Result(CURE, 2.5, 20, "same")], spent=5.0, untreated=2.25))
    healing_candidates = [CURE, (Initialize("xavier"),)]
    with pytest.MonkeyPatch.context() as patch, quiet():
        patch.setattr(healing, "candidates", lambda case, allowed: healing_candidates)
        trainer(callbacks=[watch], steps=20).fit(sick(), training_batches())
    assert [len(one["tries"]) for one in asked[:2]] == [2, 1]
    told = "none of these did better on copies beside 2.25 untreated: ReplaceActivation() + Initialize('he'): loss 2.5"
    assert watch.report.events[0].reason == told


def test_the_proof_is_told(contests):
    _, answers = contests
    results = [Result(CURE, 0.5, 20, "better"), Result((Initialize("xavier"),), 2.0, 20, "same")]
    answers.append(Outcome(CURE, results, 50.0, 2.25, (8.5, 0.25)))
    watch = healer()
    fitted(sick(), [watch], steps=40)
    (event, *_) = watch.report.events
    assert event.reason.startswith("proved on copies after 20 steps: 8.5 -> 0.2 decades lost")
    assert "1 other was tried" in event.reason
    assert (event.old, event.new) == ((2.25,), (0.5,))
    assert event.did


def test_a_treatment_that_fails_in_the_fit_leaves_it_as_it_was(contests, monkeypatch):
    _, answers = contests
    answers.append(Outcome(CURE, [Result(CURE, 0.5, 20, "better")], 50.0, 2.25))

    def breaks(*_, **__):
        raise RuntimeError("not here")

    monkeypatch.setattr(healing, "operate_all", breaks)
    module, watch = sick(), healer()
    fitted(module, [watch], steps=20)
    assert set(actions(watch)) == {"no_cure"}
    told = "ReplaceActivation() + Initialize('he') could not be carried out: RuntimeError: not here"
    assert watch.report.events[0].reason == told
    assert sum(isinstance(part, torch.nn.Sigmoid) for part in module.modules()) == 20


def test_the_state_survives():
    one, other = Healer(), Healer()
    one.spent, one.tried, one.treated = 7.5, ["vanishing: Initialize()"], [{**CURE[0].spec(), "where": None}]
    other.restore(one.state(None))
    assert other.state(None) == one.state(None)
    other.restore({})
    assert other.state(None) == Healer().state(None)


def test_few_batches_are_not_enough():
    watch = healer()
    with quiet():
        trainer(callbacks=[watch], steps=30).fit(sick(), DataLoader(Subset(digits(), range(96)), 32))
    assert actions(watch) == []
