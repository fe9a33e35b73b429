"""Several candidates on copies of one fit: the budget is kept, the best is proved, nothing else is touched."""

import copy
import math

import pytest
import torch
from torch import nn

from lightning_gradwatch import DecayLR, Initialize, RaiseRate, ReplaceActivation, checkup
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.verify.arm import Arm, Origin, copied
from lightning_gradwatch.verify.contest import Contest, foreseen
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.stage import Midway

CURE = (ReplaceActivation("relu"), Initialize("he"))


def sick(depth=14):
    torch.manual_seed(0)
    layers = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(16, 2))


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, 32, 16, generator=generator)
    batches = [(one, (one[:, 0] > 0).long()) for one in x]
    model = sick()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    origin = Origin(
        copy=lambda: copied(model, [optimizer]),
        objective=Objective(),
        batches=batches,
        seed=0,
        midway=Midway(optimizers=()),
    )
    return model, optimizer, origin, checkup(model, batches[:4], batches=4).worst


def contest(scene, candidates, budget=60.0, catch_up=0):
    *_, origin, finding = scene
    with own_ground(0):
        return Contest(origin, finding, budget).run(candidates, catch_up)


def effects(outcome):
    return {" + ".join(type(one).__name__ for one in r.candidate): r.effect for r in outcome.results}


def test_the_cure_is_proved_and_what_does_nothing_is_not(scene):
    outcome = contest(scene, [(DecayLR(0.5),), CURE, (Initialize("xavier"),)])
    assert outcome.best == CURE
    assert effects(outcome)["ReplaceActivation + Initialize"] in {"same", "better"}
    before, after = outcome.flow
    assert before > 6
    assert after < 1
    assert outcome.arm.treatments == CURE


def test_none_is_proved_where_none_helps(scene):
    outcome = contest(scene, [(DecayLR(0.5),), (RaiseRate(2.0),)])
    assert outcome.best is outcome.arm is None
    assert outcome.results
    assert math.isfinite(outcome.untreated)


@pytest.mark.parametrize("budget", [20.0, 45.0, 120.0, 300.0])
def test_the_budget_is_kept(scene, budget, monkeypatch):
    steps = []
    real_train, real_look = Arm.train, Arm.look
    monkeypatch.setattr(Arm, "train", lambda arm, n: (steps.append(n), real_train(arm, n))[1])
    monkeypatch.setattr(Arm, "look", lambda arm: (steps.append(1), real_look(arm))[1])
    candidates = [CURE, (Initialize("xavier"),), (DecayLR(0.5),), (RaiseRate(2.0),), (Initialize("he"),)]
    outcome = contest(scene, candidates, budget, catch_up=1000)
    assert sum(steps) <= outcome.spent <= budget + 1
    assert outcome.spent > 0.6 * budget


def test_too_little_for_any_spends_nothing(scene):
    assert contest(scene, [CURE], 5.0).spent == 0.0
    assert contest(scene, []).results == []


def test_the_winner_makes_up_for_lost_steps_within_the_budget(scene):
    short, long = contest(scene, [CURE], 40.0), contest(scene, [CURE], 300.0, catch_up=7)
    assert len(long.arm.losses) == 7 + long.results[-1].steps
    assert len(short.arm.losses) == short.results[-1].steps


def test_the_fit_itself_and_the_random_numbers_are_as_they_were(scene):
    model, optimizer, *_ = scene
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    numbers = torch.get_rng_state()
    contest(scene, [CURE])
    after = (model.state_dict(), optimizer.state_dict())
    assert all(torch.equal(before[0][key], after[0][key]) for key in before[0])
    assert list(before[0]) == list(after[0])
    assert before[1]["state"] == after[1]["state"]
    assert torch.equal(numbers, torch.get_rng_state())


def test_the_same_seed_the_same_outcome(scene):
    one, other = (contest(scene, [CURE, (Initialize("xavier"),)]) for _ in range(2))
    assert [(r.name, r.loss, r.effect) for r in one.results] == [(r.name, r.loss, r.effect) for r in other.results]


def test_a_candidate_that_breaks_is_told_and_the_others_go_on(scene, monkeypatch):
    def breaks(self, edit, optimizer):
        raise RuntimeError("no such layer")

    monkeypatch.setattr(DecayLR, "_optimizer", breaks)
    outcome = contest(scene, [(DecayLR(0.5),), CURE])
    assert outcome.best == CURE
    (failed,) = [result for result in outcome.results if result.effect == "failed"]
    assert failed.why == "RuntimeError: no such layer"
    assert failed.name == "DecayLR(0.5)"


def test_one_that_becomes_nan_is_never_the_best(scene):
    outcome = contest(scene, [(RaiseRate(1e30),), CURE])
    assert outcome.best == CURE


def test_what_changes_nothing_is_not_tried(scene):
    assert contest(scene, [(ReplaceActivation("relu", where=["0"]),)]).results == []


def test_where_losses_are_heading():
    """By hand: 1.0 and 0.9 at the end, 2.0 and 1.9 at first; three times that fall is more than is believed."""
    assert foreseen([2.0, 1.9, 1.5, 1.4, 1.0, 0.9]) == pytest.approx([1.0 - 0.475, 0.9 - 0.475])
    assert foreseen([1.0, 1.0, 1.0, 1.0]) == [1.0, 1.0]
    assert foreseen([1.0, 1.0, 1.02, 1.02]) == pytest.approx([1.08, 1.08])
    assert foreseen([1.0, math.nan, 1.0, 1.0]) == [math.inf, math.inf]
    assert foreseen([-1.0, -1.0, -1.1, -1.1]) == pytest.approx([-1.4, -1.4])
