"""Tiny fits whose optimizers are treated, and what they stepped with."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

NAMESPACES = ("lightning.pytorch", "pytorch_lightning")
EPOCH, EPOCHS = 5, 2  # a checkpoint of whole epochs resumes the batches too


def data(steps: int = EPOCH, seed: int = 5) -> DataLoader:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(steps * 4, 3, generator=generator)
    return DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=4)


def sgd(module, **changed):
    return torch.optim.SGD(module.parameters(), **{"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, **changed})


def module_of(pl, make=sgd, schedule=None, manual=False):
    """A LightningModule that fits a line; two optimizers where ``make`` gives two (manual optimisation)."""

    class Line(pl.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
            self.automatic_optimization = not manual
            self.kinds, self.losses = [], []

        def training_step(self, batch, batch_idx):
            loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
            self.losses.append(loss.item())
            if manual:
                optimizers = self.optimizers()
                for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
                    self.kinds.append(type(optimizer).__name__)
                    optimizer.zero_grad()
                    self.manual_backward(torch.nn.functional.mse_loss(self.net(batch[0]), batch[1]))
                    optimizer.step()
            return loss

        def validation_step(self, batch, batch_idx):
            return None

        def configure_optimizers(self):
            made = make(self)
            if schedule is None:
                return made
            scheduler = {"scheduler": schedule(made), "interval": "step", "monitor": "loss"}
            return {"optimizer": made, "lr_scheduler": scheduler}

        def on_train_batch_end(self, *_):
            self.trainer.callback_metrics["loss"] = torch.tensor(1.0)

    return Line()


def trainer_of(pl, *callbacks, **changed):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    options = {"max_epochs": EPOCHS, "accelerator": "cpu", "enable_model_summary": False}
    return pl.Trainer(callbacks=list(callbacks), **{**quiet, **options, **changed})


def fit(name, *callbacks, module=None, resume=None, saves=None, loader=None, **changed):
    """A fit in one of the two Lightnings.  Returns the module, whose trainer is still there."""
    pl = importlib.import_module(name)
    module = module_of(pl) if module is None else module(pl)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = trainer_of(pl, *callbacks, **changed)
        trainer.fit(module, data() if loader is None else loader, ckpt_path=resume)
        if saves is not None:
            trainer.save_checkpoint(saves)
    return module


def resumed(name, make_callback, path: Path, **changed):
    """The same fit in two parts: an epoch, a checkpoint, and the rest in a new trainer."""
    first = path / "half.ckpt"
    fit(name, make_callback(), saves=first, max_epochs=1, **changed)
    return fit(name, make_callback(), resume=first, **changed)


def weights(module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def optimizer_of(module):
    return module.trainer.optimizers[0]
