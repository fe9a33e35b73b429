"""Both of Lightning's namespaces: which is built on, and callbacks of both."""

import importlib

import pytest

from lightning_gradwatch import _lightning
from lightning_gradwatch.errors import WrongArgument
from tests.callbacks.fits import NAMESPACES, both_namespaces


@both_namespaces
def test_namespace_by_name(namespace):
    assert _lightning.namespace(namespace).__name__ == namespace


@both_namespaces
def test_the_namespace_of_a_trainer_and_of_its_subclass(namespace):
    kind = _lightning.namespace(namespace).Trainer
    for one in (kind, type("Mine", (kind,), {})):
        assert _lightning.namespace_of(one(accelerator="cpu", logger=False, enable_progress_bar=False)) == namespace


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
