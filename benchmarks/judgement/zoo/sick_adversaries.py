"""A generator that starves: its critic is sure, and the loss as first published is flat where it is."""

from __future__ import annotations

from typing import Any

import torch
from fit import Fit, Setup
from torch import nn
from zoo._data import digits
from zoo._networks import he, lightning, mlp
from zoo._sick import sick

NOISE = 16


class Adversaries(lightning.LightningModule):
    """A generator of digits against a critic that is trained five times as often, on log(1 - D(G(z)))."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = he(mlp(2, nn.ReLU, 64, NOISE, 64))
        self.critic = nn.Sequential(*he(mlp(2, nn.LeakyReLU, 128, 64, 1)), nn.Sigmoid())
        self.register_buffer("mean", torch.tensor(8.0))

    def measured_loss(self, batch: Any) -> torch.Tensor:
        """The generator's loss."""
        noise = torch.randn(len(batch[0]), NOISE, dtype=batch[0].dtype)
        return torch.log1p(-self.critic(self.mean + self.generator(noise)).clamp(max=1 - 1e-6)).mean()

    def training_step(self, batch: Any, batch_idx: int) -> None:
        generator, critic = self.optimizers()
        for _ in range(5):
            made = self.mean + self.generator(torch.randn(len(batch[0]), NOISE)).detach()
            right = torch.log(self.critic(batch[0]).clamp(min=1e-6)).mean()
            self._step(critic, -right - torch.log1p(-self.critic(made).clamp(max=1 - 1e-6)).mean())
        loss = self.measured_loss(batch)
        self._step(generator, loss)
        self.log("train_loss", loss.detach())

    def _step(self, optimizer: Any, loss: torch.Tensor) -> None:
        self.toggle_optimizer(optimizer)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.generator.parameters(), 0.01), torch.optim.Adam(self.critic.parameters(), 1e-3)


FITS: tuple[Fit, ...] = (
    sick(
        "gan-critic-too-sure",
        "gan",
        "The critic is sure of every picture: log(1 - D) has no slope there, and the generator gets nothing.",
        ("vanishing", "saturation", "stalled"),
        ("loss", "activation"),
        lambda seed: Setup(module=Adversaries(), loader=digits(seed)),
        layers=("generator", "critic.5"),
        onset=20,
        steps=600,
    ),
)
