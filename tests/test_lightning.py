"""The one file that knows Lightning: both namespaces, and the trainer's private corners."""

import importlib
import types

import pytest
import torch

from lightning_gradwatch import _lightning
from lightning_gradwatch.errors import WrongArgument
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer


@both_namespaces
def test_namespace_by_name(namespace):
    assert _lightning.namespace(namespace).__name__ == namespace


def test_unknown_namespace():
    with pytest.raises(WrongArgument, match="`namespace` must be the name of a Lightning package, got 'keras'"):
        _lightning.namespace("keras")


BLOCKED = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from lightning_gradwatch import _lightning
try:
    print([base.__module__.partition(".")[0] for base in _lightning.callback_bases()])
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("blocked", "printed"),
    [
        ("nothing", "['lightning']"),
        ("lightning", "['pytorch_lightning']"),
        ("pytorch_lightning", "['lightning']"),
        (
            "lightning,pytorch_lightning",
            'GradWatch needs pytorch-lightning: pip install "lightning-gradwatch[lightning]"',
        ),
    ],
)
def test_bases_are_those_that_are_installed(blocked, printed, run_python):
    assert run_python("import warnings; warnings.simplefilter('ignore')\n" + BLOCKED, blocked).strip() == printed


JOINS = """
import copy, importlib, pickle, sys, warnings
warnings.simplefilter("ignore")
first, second = sys.argv[1:]
importlib.import_module(first)
from lightning_gradwatch import GradWatch
class Mine(GradWatch):
    pass
made = [GradWatch(), Mine()]
assert all(isinstance(watch, sys.modules[first].Callback) for watch in made)
assert second not in sys.modules, "the other Lightning was imported unasked"
other = importlib.import_module(second)
assert all(isinstance(watch, other.Callback) for watch in [*made, GradWatch(), copy.deepcopy(made[0])])
assert issubclass(GradWatch, other.Callback) and issubclass(Mine, other.Callback)
assert pickle.loads(pickle.dumps(made[0])).report == made[0].report
from torch import nn, ones, optim
from torch.utils.data import DataLoader
for pl in (other, sys.modules[first]):
    class Fit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)
        def training_step(self, batch, batch_idx):
            return self.layer(batch).mean()
        def configure_optimizers(self):
            return optim.SGD(self.parameters(), 0.1)
    trainer = pl.Trainer(max_steps=2, accelerator="cpu", callbacks=made[:1], logger=False, enable_checkpointing=False,
                         enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(Fit(), DataLoader(ones(6, 2), 3))
    print(len(made[0].report.frames))
"""


@pytest.mark.parametrize("order", [NAMESPACES, NAMESPACES[::-1]], ids=" then ".join)
def test_one_class_is_a_callback_in_both_and_imports_only_the_one_in_use(order, run_python):
    assert run_python(JOINS, *order).split() == ["2", "2"]


def test_a_broken_install_is_not_an_absent_one(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'yaml'", name="yaml")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="yaml"):
        _lightning.namespace()


class Recorder:
    """Notes what the hooks of one fit read through ``_lightning``."""

    def __init__(self, namespace):
        self.rows = rows = []
        base = importlib.import_module(namespace).Callback

        class Callback(base):
            def on_before_backward(self, trainer, pl_module, loss):
                node = _lightning.loss_node(trainer, pl_module, loss)
                rows.append(
                    (
                        _lightning.step_of(trainer),
                        _lightning.completes_window(trainer, pl_module),
                        _lightning.is_last_step(trainer),
                        node.name(),
                        _lightning.loss_value(trainer, pl_module, loss).item(),
                        _lightning.loss_scale(trainer),
                    )
                )

            def on_before_optimizer_step(self, trainer, pl_module, optimizer):
                rows.append(("scale", _lightning.gradient_scale(trainer, optimizer)))

        self.callback = Callback()


@both_namespaces
def test_windows_steps_and_losses(namespace):
    recorder = Recorder(namespace)
    fitted = module(namespace, network())
    trainer(namespace, [recorder.callback], accumulate_grad_batches=3).fit(fitted, data(batches=5))
    seen = [row for row in recorder.rows if row[0] != "scale"]
    assert [row[:3] for row in seen] == [
        (0, False, False),
        (0, False, False),
        (0, True, False),
        (1, False, False),
        (1, True, True),
    ]
    assert {row[3] for row in seen} == {"NllLossBackward0"}  # the user's own, below Lightning's division
    assert all(1.5 < row[4] < 3.5 for row in seen)  # cross entropy of ten classes, not a third of it


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
def test_scaler(fused):
    pl = importlib.import_module(NAMESPACES[0])
    precision = importlib.import_module("lightning.pytorch.plugins.precision")
    recorder = Recorder(NAMESPACES[0])
    fitted = module(NAMESPACES[0], network())
    fitted.configure_optimizers = lambda: torch.optim.Adam(fitted.parameters(), fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=128.0)
    plugin = precision.MixedPrecision("16-mixed", "cpu", scaler)
    trainer(NAMESPACES[0], [recorder.callback], plugins=[plugin], max_steps=2).fit(fitted, data())
    assert {row[5] for row in recorder.rows if row[0] != "scale"} == {128.0}
    assert {row[1] for row in recorder.rows if row[0] == "scale"} == {128.0 if fused else 1.0}
    assert all(1.5 < row[4] < 3.5 for row in recorder.rows if row[0] != "scale")
    assert pl


def test_ranks_decide_together():
    strategy = types.SimpleNamespace(reduce_boolean_decision=lambda decision, all: not decision)
    assert _lightning.any_rank(types.SimpleNamespace(world_size=1, strategy=strategy), True)
    assert not _lightning.any_rank(types.SimpleNamespace(world_size=2, strategy=strategy), True)


def fake_trainer(world_size=1, **strategy):
    return types.SimpleNamespace(world_size=world_size, strategy=types.SimpleNamespace(root_device="cpu", **strategy))


def test_ranks_are_those_of_torch_distributed(monkeypatch):
    assert _lightning.ranks(fake_trainer()) == {"size": 1}
    assert _lightning.ranks(fake_trainer(8)) == {"size": 1, "mute": True}
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 8)
    assert _lightning.ranks(fake_trainer(8)) == {"size": 8, "losses": None, "device": "cpu", "mute": False}
    known = _lightning.ranks(fake_trainer(8, distributed_sampler_kwargs={"num_replicas": 4, "rank": 1}))
    assert known["losses"] == 4


def test_an_engine_is_asked_for_its_norm_only_if_it_can_tell():
    engine = types.SimpleNamespace(get_global_grad_norm=lambda: torch.tensor(3.0))
    assert _lightning.engine(fake_trainer(model=engine), "module") is engine
    assert _lightning.engine(fake_trainer(model=None), "module") == "module"
    assert _lightning.engine_norm(engine) == 3.0
    assert _lightning.engine_norm(types.SimpleNamespace(get_global_grad_norm=lambda: None)) is None
    assert _lightning.engine_norm(torch.nn.Linear(1, 1)) is None


def test_the_loss_is_found_behind_what_ddp_ties_together():
    class _DDPSink(torch.autograd.Function):
        @staticmethod
        def forward(context, *tensors):
            return tuple(tensor.clone() for tensor in tensors)

        @staticmethod
        def backward(context, *gradients):
            return gradients

    weight = torch.ones(2, requires_grad=True)
    other, loss = weight.exp(), weight.sigmoid().sum()
    _, tied = _DDPSink.apply(other, loss)
    module = types.SimpleNamespace(automatic_optimization=True)
    trainer = types.SimpleNamespace(strategy=None)
    assert _lightning.loss_node(trainer, module, tied / 1) is loss.grad_fn


def test_versions_name_what_was_running():
    assert {"torch", "pytorch-lightning"} <= set(_lightning.versions())


def fake(**changes):
    """A trainer in its third epoch of ten steps, on the last but one batch."""
    loop = types.SimpleNamespace(_batches_that_stepped=28, batch_idx=8, total_batch_idx=28)
    plain = {"global_step": 28, "current_epoch": 2, "is_last_batch": False, "should_stop": False, "world_size": 1}
    limits = {"max_steps": -1, "max_epochs": 9, "min_steps": None, "min_epochs": None, "callbacks": []}
    validation = {"enable_validation": True, "val_check_batch": 10, "check_val_every_n_epoch": 1}
    fit_loop = types.SimpleNamespace(epoch_loop=loop)
    return types.SimpleNamespace(**{"fit_loop": fit_loop, **plain, **limits, **validation, **changes})


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({}, False),
        ({"max_steps": 29}, True),
        ({"max_steps": 30}, False),
        ({"max_steps": 58, "global_step": 56}, True),  # two optimizers: each batch counts two
        ({"max_steps": 60, "global_step": 56}, False),
        ({"max_epochs": 3}, False),
        ({"max_epochs": 3, "is_last_batch": True}, True),
        ({"max_epochs": -1, "is_last_batch": True}, False),
        ({"should_stop": True}, True),
        ({"should_stop": True, "min_steps": 30}, False),
        ({"should_stop": True, "min_epochs": 3}, False),
        ({"should_stop": True, "min_epochs": 3, "is_last_batch": True}, True),
    ],
)
def test_the_last_step(changes, last):
    assert _lightning.is_last_step(fake(**changes)) == last


@pytest.mark.parametrize(
    ("changes", "checked"),
    [
        ({}, False),
        ({"is_last_batch": True}, True),
        ({"val_check_batch": 3}, True),
        ({"val_check_batch": 3, "enable_validation": False}, False),
        ({"val_check_batch": 29, "check_val_every_n_epoch": None}, True),
        ({"val_check_batch": float("inf")}, False),
    ],
)
def test_where_early_stopping_looks(changes, checked):
    assert _lightning.is_checked_after(fake(**changes)) == checked


@pytest.mark.parametrize(("waited", "ranks", "out"), [(1, 1, False), (2, 1, True), (2, 2, False)])
def test_patience(waited, ranks, out):
    stopper = types.SimpleNamespace(wait_count=waited, patience=3)
    assert _lightning.is_out_of_patience(fake(callbacks=[object(), stopper], world_size=ranks)) == out


@both_namespaces
def test_a_module_was_fitted_once_a_trainer_has_had_it(namespace):
    fitted = module(namespace, network())
    assert not _lightning.was_fitted(fitted)
    trainer(namespace, max_steps=1).fit(fitted, data())
    assert _lightning.was_fitted(fitted)
    assert not _lightning.was_fitted(torch.nn.Linear(1, 1))
