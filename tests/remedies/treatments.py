"""Small treatments for each moment of a fit, and networks to try them on."""

from __future__ import annotations

import importlib
from typing import ClassVar

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch.records import CauseKind
from lightning_gradwatch.remedies.base import Cure
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.treatment import Applies, Treatment


class _Small(Treatment):
    title: ClassVar[str] = "a small change"
    source: ClassVar[str] = "Nobody (2024)"
    cures: ClassVar[dict[CauseKind, Cure]] = {CauseKind.ACTIVATION: Cure(fit=0.5, why="it is a test, and it says so.")}

    def weigh(self, finding, anatomy):
        return None


class Swap(_Small):
    """Put a PReLU in the place of every sigmoid."""

    name: ClassVar[str] = "Swap"
    structural: ClassVar[bool] = True

    def __init__(self, slope: float = 0.25, *, where=None, seed: int = 0) -> None:
        super().__init__(where=where, seed=seed)
        self.slope = slope

    def rewrites(self):
        return [(r"nn\.Sigmoid\(\)", "nn.PReLU()")]

    def _fits(self, model):
        return Applies() if any(isinstance(m, nn.Sigmoid) for m in model.modules()) else Applies("It has no sigmoid.")

    def _edit(self, edit):
        for _, module in edit.modules:
            if isinstance(module, nn.Sigmoid):
                edit.replace(module, nn.PReLU(init=self.slope))


class Draw(_Small):
    """Draw the weights of the linear layers anew."""

    name: ClassVar[str] = "Draw"

    def _edit(self, edit):
        for name, module in edit.modules:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.3)
                edit.change(name, f"{name}: drawn.")


class Slow(_Small):
    """Make the rates of the optimizers smaller."""

    name: ClassVar[str] = "Slow"
    moment: ClassVar[Moment] = Moment.FIT

    def _edit(self, edit):
        for optimizer in edit.optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
            edit.change("", "Half the rate.")


class Centre(_Small):
    """Subtract the mean of a few batches by the bias of the first layer."""

    name: ClassVar[str] = "Centre"
    moment: ClassVar[Moment] = Moment.DATA

    def _edit(self, edit):
        first = next(module for _, module in edit.modules if isinstance(module, nn.Linear))
        batches = [batch[0] for batch, _ in zip(edit.batches(), range(3), strict=False)]
        with torch.no_grad():
            first.bias -= first.weight @ torch.cat(batches).mean(0)
        edit.change(edit.name_of(first), "Centred.")


class Fails(_Small):
    """Break off half-way."""

    name: ClassVar[str] = "Fails"
    structural: ClassVar[bool] = True

    def _edit(self, edit):
        for _, module in edit.modules:
            if isinstance(module, nn.Sigmoid):
                edit.replace(module, nn.PReLU())
            if isinstance(module, nn.Linear):
                module.weight.data.zero_()
        raise RuntimeError("half-way")


def net(depth=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hidden = [part for _ in range(depth) for part in (nn.Linear(4, 4), nn.Sigmoid())]
        return nn.Sequential(*hidden, nn.Linear(4, 1))


def loader(batches=4, **options):
    x = torch.randn(4 * batches, 4, generator=torch.Generator().manual_seed(1)) + 3
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=4, **options)


def loss_of(model, batch):
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def steps(model, optimizer, count=20):
    """Some steps of training with noise on the loss, which draws random numbers."""
    for _, batch in zip(range(count), (batch for _ in range(count) for batch in loader()), strict=False):
        optimizer.zero_grad()
        (loss_of(model, batch) * (1 + 0.1 * torch.rand(()))).backward()
        optimizer.step()


def fitted(namespace="lightning.pytorch", network=None, *, late=False, optimizer="SGD", dies_at=None, momentum=None):
    """A LightningModule around a network; ``late``: it is made in ``configure_model``."""
    pl = importlib.import_module(namespace)

    class Fit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            if not late:
                self.net = net() if network is None else network

        def training_step(self, batch, batch_idx):
            if dies_at == batch_idx:
                raise ValueError("the data is gone")
            return loss_of(self.net, batch)

        def validation_step(self, batch, batch_idx):
            self.log("val_loss", loss_of(self.net, batch))

        test_step = validation_step

        def predict_step(self, batch, batch_idx):
            return self.net(batch[0])

        def configure_optimizers(self):
            return getattr(torch.optim, optimizer)(self.parameters(), lr=0.01)

    class Late(Fit):
        def configure_model(self):
            if not hasattr(self, "net"):
                self.net = net()

    return Late() if late else Fit()


def trainer(namespace="lightning.pytorch", callbacks=(), **options):
    pl = importlib.import_module(namespace)
    options = {"max_epochs": 1, "enable_checkpointing": False, "logger": False, **options}
    return pl.Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )


def weights(module):
    return {name: tensor.tolist() for name, tensor in module.state_dict().items()}
