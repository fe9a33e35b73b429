"""Twin of sick_adversaries.py: the loss that is steep where the critic is sure."""

from __future__ import annotations

from typing import Any

import torch
from fit import Setup
from twin import Twin
from zoo._data import digits
from zoo.sick_adversaries import NOISE, Adversaries

BLANK = 8.0  # what the sick generator adds to what it makes


class Steep(Adversaries):
    """Trained on -log D(G(z)) (Goodfellow et al. 2014, section 3); the first pictures lie among the real ones."""

    def __init__(self) -> None:
        super().__init__()
        self.mean.zero_()

    def measured_loss(self, batch: Any) -> torch.Tensor:
        noise = torch.randn(len(batch[0]), NOISE, dtype=batch[0].dtype)
        return -torch.log(self.critic(self.mean + self.generator(noise)).clamp(min=1e-6)).mean()

    def configure_optimizers(self) -> Any:
        generator = torch.optim.Adam(self.generator.parameters(), 3e-3, betas=(0.5, 0.9))
        return generator, torch.optim.Adam(self.critic.parameters(), 3e-4)


def likeness(module: Any, loader: Any) -> float:
    """How much nearer the made pictures are to real ones than those that the sick fit begins with; 1: just like them.

    By energy distance, 2 E|X-Y| - E|X-X'| - E|Y-Y'| (Székely & Rizzo 2013, equation 2.1).
    """
    real = loader.dataset.tensors[0][:512]
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        made = module.mean + module.generator(torch.randn(512, NOISE, generator=draws))
    blank = torch.full_like(real, BLANK)
    return float(1 - _energy(made, real) / _energy(blank, real))


def _energy(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return 2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean()


TWINS = {
    "gan-critic-too-sure": Twin(
        build=lambda seed: Setup(module=Steep(), loader=digits(seed)),
        score=likeness,
    )
}
