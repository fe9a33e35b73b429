"""Autoencoders, densities, adversaries."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_manual import Adversaries, Interleaved, by_hand
from ._healthy_networks import he, mlp
from ._healthy_task import adam, healthy, recipe


def itself(seed: int) -> data.Table:
    """Digits, to be said again."""
    table = data.digits(seed)
    return data.Table(table.x, table.x, table.held_x, table.held_x)


def image_itself(seed: int) -> data.Table:
    table = data.images(seed)
    return data.Table(table.x, table.x, table.held_x, table.held_x)


def noisy_itself(seed: int) -> data.Table:
    clean = itself(seed)
    draw = torch.Generator().manual_seed(seed)
    made = clean.on(lambda x: x + 0.3 * torch.randn(x.shape, generator=draw))
    return data.Table(made.x, clean.x, made.held_x, clean.held_x)


def told(out: Tensor, y: Tensor) -> float:
    """Share of the variance that is said again."""
    return 1 - ((out - y) ** 2).mean().item() / y.var(0).mean().item()


def bottleneck(activation=nn.ReLU, narrow: int = 8) -> nn.Module:
    return nn.Sequential(mlp(64, narrow, (48, 24), activation), mlp(narrow, 64, (24, 48), activation))


def convolutional() -> nn.Module:
    down = (nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU())
    up = (nn.ConvTranspose2d(16, 16, 2, 2), nn.ReLU(), nn.ConvTranspose2d(16, 1, 2, 2))
    return nn.Sequential(*down, *up)


class Variational(nn.Module):
    """An encoder of mean and log variance, a draw, a decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = he(mlp(64, 16, (64,))), he(mlp(8, 64, (64,)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, 1)
        log_variance = log_variance.clamp(-6, 3)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp() if self.training else mean
        return self.decoder(drawn), mean, log_variance


def evidence(outs: tuple[Tensor, Tensor, Tensor], y: Tensor) -> Tensor:
    out, mean, log_variance = outs
    apart = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return 10 * ((out - y) ** 2).sum(1).mean() / 2 + apart


class Coupling(nn.Module):
    """One half moves the other by what it says; undone exactly."""

    def __init__(self, width: int, *, flip: bool) -> None:
        super().__init__()
        self.flip, self.inner = flip, mlp(width // 2, width, (32,), nn.Tanh)
        nn.init.zeros_(self.inner[-1].weight)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = x.chunk(2, 1)
        kept, moved = (moved, kept) if self.flip else (kept, moved)
        scale, shift = self.inner(kept).chunk(2, 1)
        scale = scale.tanh()
        moved = moved * scale.exp() + shift
        return torch.cat([kept, moved], 1), scale.sum(1)


class Flow(nn.Module):
    """Six couplings whose last layers start at 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(width, flip=i % 2 == 1) for i in range(6))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        stretched = x.new_zeros(len(x))
        for coupling in self.couplings:
            x, by = coupling(x)
            stretched = stretched + by
        return x, stretched


def surprise(outs: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
    """Mean negative log likelihood per column."""
    z, stretched = outs
    return ((z**2 / 2 + math.log(2 * math.pi) / 2).sum(1) - stretched).mean() / z.shape[1]


def mixture_surprise(out: Tensor, y: Tensor) -> Tensor:
    """Three bells per row: weights, means, log deviations."""
    weight, mean, spread = out.chunk(3, 1)
    spread = spread.clamp(-3, 3)
    each = -((y - mean) ** 2) / (2 * (2 * spread).exp()) - spread - math.log(2 * math.pi) / 2
    return -torch.logsumexp(weight.log_softmax(1) + each, 1).mean()


def even(seed: int) -> data.Table:
    """Wine with a column less: an even number."""
    return data.standardised("wine", seed).on(lambda x: x[:, :12])


diabetes = partial(data.standardised, "diabetes")


def likelier(loss):
    """The loss, turned round, as score."""
    return lambda outs, y: -float(loss(outs, y))


said = partial(recipe, loss=functional.mse_loss, score=told)
FITS = (
    healthy(
        "autoencoder-mlp-8",
        "autoencoder",
        "A narrow middle.",
        said(lambda: he(bottleneck()), itself),
        steps=300,
        seeds=(0, 1),
    ),
    healthy(
        "autoencoder-tanh-8", "autoencoder", "Six tanh layers.", said(partial(bottleneck, nn.Tanh), itself), steps=300
    ),
    healthy(
        "autoencoder-convolutional",
        "autoencoder",
        "Strides down and up.",
        said(lambda: he(convolutional()), image_itself),
        steps=250,
    ),
    healthy(
        "autoencoder-denoising",
        "autoencoder",
        "Noise in, digits out.",
        said(lambda: he(bottleneck(narrow=24)), noisy_itself),
        steps=250,
    ),
    healthy(
        "autoencoder-variational",
        "autoencoder",
        "A draw in the middle; the loss has two parts.",
        recipe(Variational, itself, loss=evidence, score=lambda outs, y: told(outs[0], y)),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "gan-mlp",
        "gan",
        "Two optimizers; neither loss falls, both learn.",
        by_hand(Adversaries),
        steps=300,
        seeds=(0, 1),
    ),
    healthy(
        "gan-wasserstein-clipped",
        "gan",
        "A critic whose weights are clamped after each step.",
        by_hand(Adversaries, wasserstein=True),
        steps=300,
    ),
    healthy(
        "gan-alternating-batches",
        "gan",
        "Generator and critic take turns: half of the gradients are stale.",
        by_hand(Adversaries, alternate=True),
        steps=400,
    ),
    healthy(
        "optimizers-alternating", "training", "Body and head take turns.", by_hand(Interleaved), steps=200, seeds=(0, 1)
    ),
    healthy(
        "flow-coupling-6",
        "autoencoder",
        "A normalising flow, its last layers 0 at first.",
        recipe(lambda: Flow(12), even, loss=surprise, score=likelier(surprise), batch=32, optimizer=adam(2e-3)),
        steps=200,
    ),
    healthy(
        "mixture-density",
        "table",
        "A density of three bells; its loss may go below 0.",
        recipe(
            lambda: mlp(10, 9, (32,), nn.Tanh),
            diabetes,
            loss=mixture_surprise,
            score=likelier(mixture_surprise),
            batch=32,
        ),
        steps=200,
    ),
)
