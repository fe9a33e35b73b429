"""Crash, Ctrl-C or SIGTERM, and resume from the last checkpoint."""

import importlib
import os
import signal

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, trainer
from tests.fits.resuming import EPOCH, MARKS, Batches, Killed, scheduled

pl = importlib.import_module(NAMESPACES[0])
pytestmark = MARKS


def crash(trainer):
    raise Killed


def press_ctrl_c(trainer):
    raise KeyboardInterrupt


def terminate(trainer):
    os.kill(os.getpid(), signal.SIGTERM)


class Ends(pl.Callback):
    """Ends the fit in the middle of its second epoch."""

    def __init__(self, how):
        self.how = how

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == EPOCH + 7:
            self.how(trainer)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        pytest.param(crash, Killed, id="an exception"),
        pytest.param(press_ctrl_c, (KeyboardInterrupt, SystemExit), id="Ctrl-C"),
        pytest.param(terminate, BaseException, id="SIGTERM"),
    ],
)
@pytest.mark.parametrize("when", ["every 5 steps", "at the end of each epoch"])
def test_from_the_last_checkpoint_of_a_fit_that_was_ended(how, error, when, tmp_path):
    def watched():
        return GradWatch(every_n_steps=4, on_vanishing="decay_lr", cooldown_steps=12, strict=True)

    def fit(watch, *others, ckpt=None):
        torch.manual_seed(5)
        fitted = scheduled()
        runner = trainer(NAMESPACES[0], [watch, *others], max_epochs=3, enable_checkpointing=bool(others))
        runner.fit(fitted, Batches(), ckpt_path=ckpt)
        return fitted.recorder.seen

    straight, ended, resumed = watched(), watched(), watched()
    rates = fit(straight)
    every = {"every_n_train_steps": 5} if when == "every 5 steps" else {"save_on_train_epoch_end": True}
    saving = pl.callbacks.ModelCheckpoint(tmp_path, "last", **every)
    with pytest.raises(error):
        fit(ended, saving, Ends(how))
    assert ended.report.findings
    rest = fit(resumed, ckpt=tmp_path / "last.ckpt")
    assert len(rest) == 3 * EPOCH - (EPOCH + 5 if when == "every 5 steps" else EPOCH)
    assert rest == rates[-len(rest) :]
    assert resumed.report.findings == straight.report.findings
    assert resumed.report.events == straight.report.events
