"""What every treatment of optimizers keeps: in fits of both Lightnings, over a checkpoint, and by hand."""

from __future__ import annotations

import copy
import importlib
import json
import os
import pickle
import subprocess
import sys

import pytest
import torch

from lightning_gradwatch import ClipGradients, DecayLR, LowerDecay, RaiseRate, SwitchOptimizer, WarmUp
from lightning_gradwatch.remedies.optimizer_treatment import OptimizerTreatment
from lightning_gradwatch.remedies.registry import remake, remedies
from lightning_gradwatch.remedies.surgery.at_step import running_on
from tests.conftest import ROOT
from tests.remedies.optimizer_fits import (
    EPOCH,
    EPOCHS,
    NAMESPACES,
    fit,
    module_of,
    optimizer_of,
    resumed,
    same,
    sgd,
    trainer_of,
    weights,
)

MADE = {
    "switch": SwitchOptimizer,
    "switch to rmsprop": lambda: SwitchOptimizer("rmsprop", lr=0.002),
    "clip auto": lambda: ClipGradients(quantile=0.3),
    "clip norm": lambda: ClipGradients(0.5),
    "clip value": lambda: ClipGradients(0.1, mode="value"),
    "clip agc": lambda: ClipGradients(mode="agc"),
    "decay": lambda: DecayLR(0.5),
    "decay stepwise": lambda: DecayLR(0.5, when="stepwise", every_n_steps=3),
    "decay on plateau": lambda: DecayLR(0.5, when="plateau", patience=1),
    "warm up": lambda: WarmUp(7),
    "raise": lambda: RaiseRate(1.5),
    "lower decay": LowerDecay,
}
EVERY = pytest.mark.parametrize("make", MADE.values(), ids=list(MADE))
FEW = ("switch", "clip auto", "decay stepwise", "warm up")
BY_HAND = pytest.mark.parametrize(
    "make", [make for name, make in MADE.items() if "plateau" not in name], ids=[n for n in MADE if "plateau" not in n]
)


def test_all_of_them_are_here():
    """But the one that needs a deep network, which is tested for itself."""
    known = {rule.name for rule in remedies() if isinstance(rule, OptimizerTreatment)}
    assert {make().name for make in MADE.values()} == known - {"BoostDepthLR"}


@EVERY
@pytest.mark.parametrize("name", NAMESPACES)
def test_a_fit_is_another_and_nothing_stays_on_its_optimizer(name, make):
    treatment = make()
    treated = fit(name, treatment)
    assert treatment.applied
    assert not same(treated, fit(name))
    assert not optimizer_of(treated)._optimizer_step_pre_hooks
    assert not optimizer_of(treated)._optimizer_step_post_hooks


@EVERY
def test_a_resumed_fit_is_the_uninterrupted_one(make, tmp_path):
    assert same(resumed(NAMESPACES[0], make, tmp_path), fit(NAMESPACES[0], make()))


@BY_HAND  # for a plateau the rest is too short
def test_a_checkpoint_of_an_untreated_fit_is_gone_on_with_treated(make, tmp_path):
    saved = tmp_path / "untreated.ckpt"
    fit(NAMESPACES[0], saves=saved, max_epochs=1)
    treatment = make()
    treated = fit(NAMESPACES[0], treatment, resume=saved)
    assert treatment.applied
    assert not same(treated, fit(NAMESPACES[0], resume=saved))
    assert treated.trainer.global_step == EPOCHS * EPOCH


@EVERY
def test_checkpoints_hold_data_only(make, tmp_path):
    fit(NAMESPACES[0], make(), saves=tmp_path / "fit.ckpt", max_epochs=1)
    held = torch.load(tmp_path / "fit.ckpt", weights_only=True)["callbacks"]
    assert held[repr(make())]["applied"] is True


@EVERY
def test_the_second_fit_of_a_trainer_is_treated_too(make):
    treatment, module = make(), module_of(importlib.import_module(NAMESPACES[0]))
    fit(NAMESPACES[0], treatment, module=lambda pl: module, max_epochs=1)
    first, optimizer = treatment.applied, optimizer_of(module)
    fit(NAMESPACES[0], treatment, module=lambda pl: module, max_epochs=1)
    assert treatment.applied is not first
    assert treatment.applied.changed == first.changed
    assert optimizer_of(module) is not optimizer


@EVERY
def test_an_exception_leaves_nothing_on_the_optimizer(make):
    class Dies(importlib.import_module(NAMESPACES[0]).Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            self.optimizer = optimizer
            if trainer.global_step == 2:
                raise ValueError("the data is gone")

    dies = Dies()
    with pytest.raises(ValueError, match="the data is gone"):
        fit(NAMESPACES[0], make(), dies)
    assert not dies.optimizer._optimizer_step_pre_hooks
    assert dies.optimizer.param_groups[0]["lr"] in (0.1, 0.001, 0.002)  # the user's, or that of the switch


@EVERY
def test_is_data(make):
    treatment = make()
    again = remake(json.loads(json.dumps(treatment.spec())))
    assert (
        repr(again) == repr(treatment) == repr(pickle.loads(pickle.dumps(treatment))) == repr(copy.deepcopy(treatment))
    )
    assert treatment.title[0].isalpha()
    assert treatment.how.endswith(".")
    assert treatment.cost.endswith(".")
    assert treatment.advice(torch.nn.Linear(1, 1))


def made():
    module = module_of(importlib.import_module(NAMESPACES[0]))
    return module, sgd(module)


def steps(module, optimizer, count=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        optimizer.zero_grad()
        module.net(torch.randn(4, 3, generator=generator)).square().mean().backward()
        optimizer.step()
    return weights(module), copy.deepcopy(optimizer.state_dict())


def equal(one, other):
    return json.dumps(one, default=torch.Tensor.tolist) == json.dumps(other, default=torch.Tensor.tolist)


@BY_HAND
def test_undo_after_steps_is_as_if_never_applied(make):
    module, optimizer = made()
    steps(module, optimizer, 3)
    before = weights(module), copy.deepcopy(optimizer.state_dict())
    applied = make().apply(module, optimizer)
    assert applied
    assert not equal(steps(module, optimizer), before)
    applied.undo()
    assert equal((weights(module), optimizer.state_dict()), before)
    assert type(optimizer) is torch.optim.SGD
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    untouched, plain = made()
    steps(untouched, plain, 3)
    assert equal(steps(module, optimizer, seed=1), steps(untouched, plain, seed=1))


@BY_HAND
def test_twice_is_as_good_as_once(make):
    once, twice = made(), made()
    make().apply(*once)
    assert make().apply(*twice)
    again = make().apply(*twice)
    assert not again
    assert len(again.left) == 1
    assert equal(steps(*once), steps(*twice))


@BY_HAND
def test_a_copy_is_treated_and_the_original_is_not(make):
    module, optimizer = made()
    twin = copy.deepcopy((module, optimizer))
    assert make().apply(*twin)
    plain = made()
    assert equal(steps(module, optimizer), steps(*plain))
    assert not equal(steps(*twin), steps(*made()))


@BY_HAND
def test_without_an_optimizer_it_says_so(make):
    applied = make().apply(torch.nn.Linear(1, 1))
    assert not applied
    assert "There is no optimizer yet" in str(applied)


@BY_HAND
def test_a_compiled_network_has_optimizers_too(make):
    module, optimizer = made()
    assert make().apply(torch.compile(module.net, backend="eager"), optimizer)


def two(module):
    weight, *rest = module.parameters()
    return [torch.optim.SGD(part, lr=0.1, weight_decay=0.1) for part in ([weight], rest)]


@EVERY
def test_two_optimizers_of_a_manual_optimisation(make, tmp_path):
    def module(pl):
        return module_of(pl, two, manual=True)

    treatment = make()
    treated = fit(NAMESPACES[1], treatment, module=module)
    assert len(treatment.applied.changed) == 2
    assert not same(treated, fit(NAMESPACES[1], module=module))
    assert same(treated, resumed(NAMESPACES[1], make, tmp_path, module=module))
    wrapped = [f"Lightning{type(one).__name__}" for one in treated.trainer.optimizers]
    assert treated.kinds[-2:] == wrapped


@pytest.mark.parametrize("make", [MADE[name] for name in FEW], ids=FEW)
@pytest.mark.parametrize(
    "changed",
    [{"precision": "bf16-mixed"}, {"gradient_clip_val": 0.3}, {"accumulate_grad_batches": 2}],
    ids=["bf16", "clipped", "accumulated"],
)
def test_beside_what_a_trainer_does(make, changed, tmp_path):
    treated = fit(NAMESPACES[0], make(), **changed)
    assert not same(treated, fit(NAMESPACES[0], **changed))
    assert same(treated, resumed(NAMESPACES[0], make, tmp_path, **changed))


@BY_HAND
def test_where_is_the_groups_that_lie_in_it(make):
    module = module_of(importlib.import_module(NAMESPACES[0]))
    groups = [{"params": module.net[0].parameters()}, {"params": module.net[2].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.1, weight_decay=0.01)
    nowhere = make().apply(module, optimizer, where=["net.1"])
    assert not nowhere
    assert nowhere.left
    assert not running_on(optimizer)


def test_names_of_modules_that_are_not_there():
    from lightning_gradwatch.errors import WrongArgument

    with pytest.raises(WrongArgument, match="names of modules"):
        DecayLR(where=["encoder"]).apply(*made())


def test_yaml_and_trainers_take_them_as_callbacks():
    for name in NAMESPACES:
        pl = importlib.import_module(name)
        trainer = trainer_of(pl, *[make() for make in MADE.values()])
        assert all(isinstance(one, pl.Callback) for one in trainer.callbacks if isinstance(one, OptimizerTreatment))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated:DeprecationWarning")
def test_torchscript_has_optimizers_too():
    scripted = torch.jit.trace(made()[0].net, torch.ones(1, 3))
    optimizer = torch.optim.SGD(scripted.parameters(), lr=0.1)
    before = weights(scripted)
    applied = SwitchOptimizer().apply(scripted, optimizer)
    scripted(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert not equal(weights(scripted), before)
    applied.undo()
    assert equal(weights(scripted), before)
    assert type(optimizer) is torch.optim.SGD


# As in test_ddp: torch's own threads sometimes abort a gloo worker while it exits, after both ranks have reported.
EXIT_RACE = "terminate called without an active exception"
SCRIPT = """
import json, sys
import pytorch_lightning as pl
from lightning_gradwatch import ClipGradients, DecayLR, SwitchOptimizer, WarmUp
from tests.remedies.optimizer_fits import data, module_of

class Tells(pl.Callback):
    def on_train_end(self, trainer, pl_module):
        states = [one.state_dict() for one in trainer.callbacks[:4]]
        told = {"states": states, "weights": [p.tolist() for p in pl_module.parameters()]}
        with open(f"{sys.argv[1]}/{trainer.global_rank}.json", "w") as file:
            json.dump(told, file, default=lambda tensor: tensor.nan_to_num().tolist())

if __name__ == "__main__":
    treatments = [SwitchOptimizer(), ClipGradients(), WarmUp(3), DecayLR(0.5, when="plateau", patience=1)]
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp_fork", max_epochs=3, callbacks=[*treatments, Tells()],
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )
    trainer.fit(module_of(pl), data(8))
"""


def test_two_ranks_do_the_same(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "script.py", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 or EXIT_RACE in done.stderr, done.stderr
    one, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    assert one["states"][0]["applied"]
    assert one["states"][3]["running"][0]["factor"] < 1, "each rank's own losses would not have agreed"
