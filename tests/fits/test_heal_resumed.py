"""A healed fit that is interrupted and resumed is the one that went on, bit for bit."""

import importlib

import pytest
import torch

from lightning_gradwatch import (
    ClipGradients,
    GradWatch,
    Initialize,
    InsertNormalization,
    ReplaceActivation,
    SwitchOptimizer,
    WarmUp,
)
from lightning_gradwatch.callbacks import healing
from lightning_gradwatch.cases.fitting import quiet
from tests.callbacks.fits import NAMESPACES
from tests.fits.healing import actions, healer, sick, trainer
from tests.fits.modules import fingerprint
from tests.fits.resuming import MARKS, Batches

pl = importlib.import_module(NAMESPACES[0])
pytestmark = MARKS
STEPS, CUT = 90, 50

CURE = (ReplaceActivation("relu"), Initialize())

# What is tried.
KINDS = {
    "structure": (InsertNormalization(),),
    "another optimizer": (*CURE, SwitchOptimizer("rmsprop")),
    "what counts its steps": (*CURE, WarmUp(60), ClipGradients(quantile=0.3)),
}


class Digits(Batches):
    """The same for the digits."""

    def __init__(self):
        from lightning_gradwatch.cases.data import training_batches

        self.batches, self.next = list(training_batches()), 0


class Saving(pl.callbacks.Checkpoint):
    """Saves in the middle."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == CUT:
            trainer.save_checkpoint(self.path)


def fitted(module, callbacks, **options):
    made = trainer(callbacks=callbacks, steps=STEPS, enable_checkpointing=True)
    with quiet():
        made.fit(module, Digits(), **options)
    return made


def scheduled(make):
    """A sick module whose schedule knows rates of its own."""
    module = sick()

    def configure_optimizers():
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": make(optimizer), "interval": "step"}}

    module.configure_optimizers = configure_optimizers
    return module


def stairs(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.8)


@pytest.mark.parametrize("plain", [False, True], ids=["healing on", "watched only"])
@pytest.mark.parametrize("kind", KINDS)
def test_bit_for_bit(kind, plain, tmp_path, monkeypatch):
    path = tmp_path / "healed.ckpt"
    monkeypatch.setattr(healing, "candidates", lambda case, allowed: [KINDS[kind]])
    whole, first = scheduled(stairs), healer()
    fitted(whole, [first, Saving(path)])
    assert actions(first) == ["treat"]
    assert first.report.events[0].step < CUT - 10
    monkeypatch.undo()
    resumed = scheduled(stairs)
    second = GradWatch(strict=True, verbose=False) if plain else healer()
    fitted(resumed, [second, Saving(path)], ckpt_path=path, weights_only=True)
    assert fingerprint(resumed.state_dict()) == fingerprint(whole.state_dict())
    assert second.report.events == first.report.events
    assert second.report.findings == first.report.findings
