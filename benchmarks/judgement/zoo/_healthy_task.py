"""The one LightningModule that most healthy fits share, and what builds a Setup around it.

Conventions that the peers and the harness rely on: ``last_loss`` and ``last_accuracy`` are those of the last training
batch (``last_accuracy`` is None where there are no classes); ``score()`` is the held-out score, larger is better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from fit import Fit, Setup
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data

Optimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def adam(rate: float = 3e-3, **options) -> Optimizer:
    return lambda parameters: torch.optim.Adam(parameters, lr=rate, **options)


def adamw(rate: float = 3e-3, decay: float = 0.01) -> Optimizer:
    return lambda parameters: torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)


def sgd(rate: float = 0.1, momentum: float = 0.9, **options) -> Optimizer:
    return lambda parameters: torch.optim.SGD(parameters, lr=rate, momentum=momentum, **options)


def accuracy(out: Tensor, y: Tensor) -> float:
    """Share of right classes; a single output is a yes above 0."""
    guess = out.argmax(1) if out.dim() > 1 and out.shape[1] > 1 else (out.reshape(-1) > 0).long()
    return (guess == y.reshape(guess.shape)).float().mean().item()


def explained(out: Tensor, y: Tensor) -> float:
    """Share of the target's variance that is explained."""
    return 1 - ((out - y) ** 2).sum().item() / ((y - y.mean(0)) ** 2).sum().item()


class Task(LightningModule):
    """A network, its loss, its optimizer and what is held out."""

    def __init__(
        self,
        network: nn.Module,
        table: data.Table,
        *,
        loss: Callable[[Any, Tensor], Tensor] = functional.cross_entropy,
        optimizer: Optimizer | None = None,
        schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        score: Callable[[Any, Tensor], float] = accuracy,
        trains: Callable[[nn.Module], list[nn.Parameter]] = lambda network: list(network.parameters()),
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.make_optimizer, self.schedule, self.trains = optimizer or adam(), schedule, trains
        self.rate_by, self.held_out = score, (table.held_x, table.held_y)
        self.last_loss: float | None = None
        self.last_accuracy: float | None = None

    def forward(self, x: Tensor) -> Any:
        return self.network(x)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        x, y = batch
        out = self(x)
        loss = self.loss(out, y)
        self.last_loss = float(loss.detach())
        if self.rate_by is accuracy:
            self.last_accuracy = accuracy(out.detach(), y)
        return loss

    @torch.no_grad()
    def score(self) -> float:
        """The held-out score, in eval mode; the mode is put back."""
        was = self.training
        self.eval()
        x, y = self.held_out
        kind = next(self.parameters()).dtype
        out = self(x.to(kind) if x.is_floating_point() else x)
        found = self.rate_by(out.float() if isinstance(out, Tensor) else out, y)
        self.train(was)
        return found

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.trains(self.network))
        if self.schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.schedule(optimizer), "interval": "step"}}


def recipe(
    network: Callable[[], nn.Module],
    table: Callable[[int], data.Table] = data.digits,
    *,
    batch: int = 64,
    task: type[Task] = Task,
    trainer: Callable[[], dict[str, Any]] = dict,
    callbacks: Callable[[], list[Any]] = list,
    **options: Any,
) -> Callable[[int], Setup]:
    """A builder of fresh Setups: the seed draws the weights, the split and the order of the batches."""

    def build(seed: int) -> Setup:
        torch.manual_seed(seed)
        drawn = table(seed)
        module = task(network(), drawn, **options)
        return Setup(module, drawn.loader(batch, seed), trainer(), callbacks())

    return build


def healthy(name: str, family: str, why: str, build: Callable[[int], Setup], **options: Any) -> Fit:
    """A fit on which nothing may ring."""
    return Fit(name=name, family=family, why=why, build=build, health="healthy", **options)


def mild(name: str, family: str, why: str, build: Callable[[int], Setup], **options: Any) -> Fit:
    """A fit on which something may be said as info, and nothing may ring."""
    return Fit(name=name, family=family, why=why, build=build, health="mild", **options)
