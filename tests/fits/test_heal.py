"""One line heals a sick fit; a healthy one is as without it, bit for bit."""

import copy

import pytest
import torch
from lightning.pytorch import Callback

from lightning_gradwatch import GradWatch, heal
from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.cases.fitting import quiet
from tests.callbacks.fits import both_namespaces
from tests.fits.healing import STEPS, accuracy, actions, fitted, healer, sick, trainer
from tests.fits.modules import fingerprint


@both_namespaces
def test_one_call_cures_what_nothing_else_trains(namespace):
    module, untreated = sick(namespace), sick(namespace)
    made = trainer(namespace)
    with quiet():
        report = heal(made, module, training_batches())
    fitted(untreated, namespace=namespace)
    assert accuracy(untreated) < 0.2
    assert accuracy(module) > 0.7
    assert made.global_step == STEPS
    (event, *others) = report.events
    assert event.action == "treat"
    assert not others
    assert event.new[0] < event.old[0]
    assert report.findings[0].resolved
    assert "BatchNorm1d" in report.patch
    assert module.training  # as after any fit


def test_the_same_seed_heals_alike():
    one, other = sick(), sick()
    watches = [healer(seed=3), healer(seed=3)]
    for module, watch in zip((one, other), watches, strict=True):
        fitted(module, [watch])
    assert fingerprint(one.state_dict()) == fingerprint(other.state_dict())
    assert watches[0].report.events == watches[1].report.events


@both_namespaces
def test_a_healthy_fit_is_bit_identical_and_tries_nothing(namespace):
    healthy = {"activation": "relu", "init": "he", "depth": 6}
    healed, plain = sick(namespace, **healthy), sick(namespace, **healthy)
    torch.manual_seed(1)
    watch = healer()
    fitted(healed, [watch], namespace)
    after = torch.rand(1)
    torch.manual_seed(1)
    fitted(plain, [], namespace)
    assert fingerprint(healed.state_dict()) == fingerprint(plain.state_dict())
    assert torch.equal(after, torch.rand(1))
    assert actions(watch) == []
    assert not healed._state_dict_hooks
    assert not healed._load_state_dict_pre_hooks


def test_where_nothing_is_proved_the_fit_goes_on_untouched_and_says_so():
    healed, plain = sick(), sick()
    watch = healer(remedies=["SwitchOptimizer"])
    fitted(healed, [watch])
    fitted(plain)
    assert fingerprint(healed.state_dict()) == fingerprint(plain.state_dict())
    assert set(actions(watch)) == {"no_cure"}
    assert watch.report.patch == ""


def test_a_module_that_needs_its_trainer_is_left_alone():
    class Needy(type(sick())):
        def training_step(self, batch, batch_idx):
            assert self.trainer.strategy is not None
            return super().training_step(batch, batch_idx)

    watch = healer()
    needy, plain = sick(), sick()
    needy.__class__ = Needy
    fitted(needy, [watch])
    fitted(plain)
    assert fingerprint(needy.state_dict()) == fingerprint(plain.state_dict())
    assert "self.trainer.strategy is not there" in watch.report.events[0].reason


def test_a_treatment_that_does_harm_is_taken_back(monkeypatch):
    """The first trial is made to prove the wrong thing; what the fit shows later decides."""
    from lightning_gradwatch.remedies.decay_lr import DecayLR
    from lightning_gradwatch.remedies.initialize import Initialize
    from lightning_gradwatch.verify import contest

    ruin = (Initialize("xavier", gain=1e-3), DecayLR(0.5))

    lies = [contest.Outcome(ruin, [contest.Result(ruin, 1.0, 5, "better")], 10.0, 2.0)]

    def run(self, candidates, catch_up):
        return lies.pop() if lies else contest.Outcome()

    monkeypatch.setattr(contest.Contest, "run", run)
    module = sick(activation="tanh")
    watch = healer()
    fitted(module, [watch], steps=160)
    assert [action for action in actions(watch) if action != "no_cure"] == ["treat", "undo_treat"]
    assert watch.report.events[0].effect == "worse"
    assert watch.report.patch == ""


def test_an_exception_in_the_fit_leaves_nothing_behind():
    module, watch = sick(), healer()

    class Stop(RuntimeError):
        pass

    class Breaks(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.global_step == 30:
                raise Stop

    with pytest.raises(Stop):
        fitted(module, [watch, Breaks()])
    assert actions(watch) == ["treat"]
    assert not watch._watch.healer.batches
    copy.deepcopy(module)


def test_a_watch_that_is_there_heals_for_this_fit_only():
    watch = GradWatch(verbose=False, strict=True)
    made = trainer(callbacks=[watch])
    with quiet():
        report = heal(made, sick(), training_batches(), remedies=["ReplaceActivation", "Initialize"])
    assert [event.action for event in report.events] == ["treat"]
    assert watch.settings.on_vanishing == "warn"


def test_batches_are_copied_before_the_network_changes_them():
    class InPlace(type(sick())):
        def training_step(self, batch, batch_idx):
            batch[0].mul_(0.5)
            return super().training_step(batch, batch_idx)

    module, watch = sick(), healer()
    module.__class__ = InPlace
    fitted(module, [watch])
    assert actions(watch) == ["treat"]
