"""Fits that optimise by hand: adversaries, and pairs of networks of which one follows the other."""

from __future__ import annotations

from typing import Any

import torch
from fit import Setup
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import he, mlp

NOISE = 16


def likeness(made: Tensor, real: Tensor) -> float:
    """1 where the made ones have the real ones' mean and deviation, pixel by pixel; lower where not."""
    apart = ((made.mean(0) - real.mean(0)) ** 2 + (made.std(0) - real.std(0)) ** 2).mean()
    return 1 - float(apart / real.var(0).mean())


class Adversaries(LightningModule):
    """A generator and a critic of digits; ``every`` other batch is the generator's, or all are both's."""

    def __init__(self, table: data.Table, *, wasserstein: bool = False, alternate: bool = False) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(*mlp(NOISE, 64, (64, 64), norm=nn.BatchNorm1d), nn.Sigmoid())
        self.critic = mlp(64, 1, (64, 64), lambda: nn.LeakyReLU(0.2))
        he(self.critic)
        self.wasserstein, self.alternate = wasserstein, alternate
        self.held_out = table.held_x
        self.seen = 0
        self.last_loss: float | None = None
        self.last_accuracy: float | None = None

    def critic_loss(self, x: Tensor, z: Tensor) -> Tensor:
        real, made = self.critic(x), self.critic(self.generator(z).detach())
        if self.wasserstein:
            return made.mean() - real.mean()
        return (functional.softplus(-real) + functional.softplus(made)).mean()

    def generator_loss(self, z: Tensor) -> Tensor:
        judged = self.critic(self.generator(z))
        return -judged.mean() if self.wasserstein else functional.softplus(-judged).mean()

    def measured_loss(self, batch: Any) -> Tensor:
        """Both losses together, for the independent measurement."""
        z = torch.randn(len(batch[0]), NOISE, dtype=batch[0].dtype)
        return self.critic_loss(batch[0], z) + self.generator_loss(z)

    def training_step(self, batch: Any, batch_index: int) -> None:
        generator, critic = self.optimizers()
        z = torch.randn(len(batch[0]), NOISE)
        self.seen += 1
        if not self.alternate or self.seen % 2:
            self._step(critic, self.critic_loss(batch[0], z))
            if self.wasserstein:
                self._clamp()
        if not self.alternate or not self.seen % 2:
            loss = self.generator_loss(z)
            self.last_loss = float(loss.detach())
            self._step(generator, loss)
        if self.last_loss is not None:
            self.log("train_loss", self.last_loss)

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        self.toggle_optimizer(optimizer)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)

    @torch.no_grad()
    def _clamp(self) -> None:
        for p in self.critic.parameters():
            p.clamp_(-0.1, 0.1)

    @torch.no_grad()
    def score(self) -> float:
        self.eval()
        made = self.generator(torch.randn(400, NOISE, generator=torch.Generator().manual_seed(0)))
        self.train()
        return likeness(made, self.held_out)

    def configure_optimizers(self) -> list[Any]:
        if self.wasserstein:
            return [torch.optim.RMSprop(part.parameters(), lr=1e-3) for part in (self.generator, self.critic)]
        return [
            torch.optim.Adam(part.parameters(), lr=2e-3, betas=(0.5, 0.99)) for part in (self.generator, self.critic)
        ]


class Interleaved(LightningModule):
    """Body and head have an optimizer each and take turns, batch by batch."""

    def __init__(self, table: data.Table) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.body, self.head = he(mlp(64, 64, (64,))), nn.Linear(64, 10)
        self.table_held = (table.held_x, table.held_y)
        self.seen, self.last_loss, self.last_accuracy = 0, None, None

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu())

    def measured_loss(self, batch: Any) -> Tensor:
        return functional.cross_entropy(self(batch[0]), batch[1])

    def training_step(self, batch: Any, batch_index: int) -> None:
        loss = self.measured_loss(batch)
        self.last_loss = float(loss.detach())
        optimizer = self.optimizers()[self.seen % 2]
        self.seen += 1
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.log("train_loss", self.last_loss)

    @torch.no_grad()
    def score(self) -> float:
        x, y = self.table_held
        return (self(x).argmax(1) == y).float().mean().item()

    def configure_optimizers(self) -> list[Any]:
        return [torch.optim.Adam(part.parameters(), lr=3e-3) for part in (self.body, self.head)]


def by_hand(kind: type[LightningModule], **options: Any):
    """A builder of a fit that optimises by hand."""

    def build(seed: int) -> Setup:
        torch.manual_seed(seed)
        table = data.digits(seed)
        return Setup(kind(table, **options), table.loader(64, seed))

    return build
