"""The same promise inside a real Trainer, in both namespaces, with a callback of a few lines as the only driver."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch.utils.data import DataLoader

from lightning_gradwatch.remedies.rate_scale import RateScale
from tests.remedies.optimizers import SCHEDULERS, Recorder

NAMESPACES = ("lightning.pytorch", "pytorch_lightning")
STEPS, SCALED_AT, FACTOR = 12, 4, 0.1


def module_of(pl, writes=None, schedule="OneCycleLR", manual=False, dies_at=None):
    class Fit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)
            self.automatic_optimization = not manual
            self.recorder = None

        def training_step(self, batch, batch_idx):
            if writes == "training_step":
                self._write(batch_idx)
            if dies_at == batch_idx:
                raise ValueError("the data is gone")
            loss = self.layer(batch).square().mean()
            if manual:
                optimizer = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
                self.lr_schedulers().step()
            return loss

        def on_before_optimizer_step(self, optimizer):
            if writes == "on_before_optimizer_step":  # runs after every callback's hook of that name
                self._write(self.trainer.global_step)

        def _write(self, step):
            for group in self.recorder.param_groups:
                group["lr"] = 0.1 / (1 + step)

        def configure_optimizers(self):
            self.recorder = Recorder(self.parameters(), lr=0.1)
            scheduler = SCHEDULERS[schedule](self.recorder)
            return {"optimizer": self.recorder, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    return Fit()


def driver(pl, scale):
    class Driver(pl.Callback):
        def __init__(self):
            self.clean = []

        def on_train_start(self, trainer, pl_module):
            scale.attach(trainer.optimizers)

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            scale.reapply(optimizer)

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.clean.append([group["lr"] for group in pl_module.recorder.param_groups])
            if batch_idx + 1 == SCALED_AT:
                scale.scale(FACTOR)

        def on_exception(self, trainer, pl_module, exception):
            scale.detach()

        def on_train_end(self, trainer, pl_module):
            scale.detach()

    return Driver()


def fit(pl, module, *callbacks):
    torch.manual_seed(3)
    data = DataLoader(torch.ones(STEPS, 4), batch_size=1)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    trainer.fit(module, data)
    return module.recorder


CASES = {
    "schedule": {},
    "own constants": {"schedule": "own constants"},
    "written in training_step": {"writes": "training_step"},
    "written in on_before_optimizer_step": {"writes": "on_before_optimizer_step"},
    "manual optimisation": {"manual": True},
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("name", NAMESPACES)
def test_a_fit_steps_with_the_scaled_rate(name, case):
    pl = importlib.import_module(name)
    untreated = fit(pl, module_of(pl, **case))
    scale = RateScale()
    watcher = driver(pl, scale)
    treated = fit(pl, module_of(pl, **case), watcher)
    by = [1.0] * SCALED_AT + [FACTOR] * (STEPS - SCALED_AT)
    assert len(treated.seen) == STEPS
    assert treated.seen == [pytest.approx((f * plain[0],)) for f, plain in zip(by, untreated.seen, strict=True)]
    assert treated.param_groups[0]["lr"] == untreated.param_groups[0]["lr"]  # bit for bit after the fit
    assert not treated._optimizer_step_pre_hooks
    assert not treated._optimizer_step_post_hooks


@pytest.mark.parametrize("name", NAMESPACES)
def test_an_exception_leaves_the_clean_rate(name):
    pl = importlib.import_module(name)
    watcher = driver(pl, RateScale())
    module = module_of(pl, dies_at=SCALED_AT + 2)
    with pytest.raises(ValueError, match="the data is gone"):
        fit(pl, module, watcher)
    assert len(module.recorder.seen) == SCALED_AT + 2
    assert [group["lr"] for group in module.recorder.param_groups] == watcher.clean[-1]
    assert not module.recorder._optimizer_step_pre_hooks
