"""Vanishing along the depth of networks with a structure: branches, blocks, several losses, onsets late in the fit."""

from __future__ import annotations

import functools
from typing import Any

import torch
from fit import Fit
from torch import nn
from torch.nn.functional import cross_entropy
from zoo._data import digits
from zoo._networks import (
    At,
    Branches,
    adam,
    draw,
    he,
    linears,
    mlp,
    normal,
    on_digits,
    sgd,
    xavier,
)
from zoo._sick import sick

VANISHING = ("vanishing",)


class Tokens(nn.Module):
    """Digits as eight tokens of eight pixels, through encoder blocks, to a head."""

    def __init__(self, blocks: list[nn.Module], width: int = 32) -> None:
        super().__init__()
        self.embed, self.blocks = nn.Linear(8, width), nn.ModuleList(blocks)
        self.head = nn.Linear(width, 10)
        self.place = nn.Parameter(torch.randn(8, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x.unflatten(1, (8, 8))) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


class Plain(nn.Module):
    """A Transformer block that lacks its skip connections."""

    def __init__(self, width: int = 32, gain: float = 1.0) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, _ = self.attention(x, x, x)
        return self.down(torch.relu(self.up(x)))


def _post_norm() -> nn.Module:
    return Tokens([nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True) for _ in range(12)])


class Supervised(nn.Module):
    """Layers below with a head of their own, and a deep stack with the main head."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.early = he(mlp(2, nn.ReLU)[:-1]), nn.Linear(64, 10)
        self.deep, self.main = xavier(mlp(12, nn.Sigmoid)[:-1]), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.low(x)
        return self.early(x), self.main(self.deep(x))


def _both(answers: tuple[torch.Tensor, torch.Tensor], y: torch.Tensor) -> torch.Tensor:
    return sum((cross_entropy(answer, y) for answer in answers), torch.zeros(()))


def _shrink(module: Any) -> None:
    for layer in module.network:
        if isinstance(layer, nn.Linear) and layer.out_features > 10:
            layer.weight.mul_(0.05)


def _reset(module: Any) -> None:
    he(module.network)


def _middle() -> nn.Module:
    below, above = he(mlp(4, nn.ReLU)[:-1]), he(mlp(3, nn.ReLU))
    return nn.Sequential(below, xavier(mlp(10, nn.Sigmoid)[:-1]), above)


FITS: tuple[Fit, ...] = (
    sick(
        "transformer-no-skip-10",
        "transformer",
        "Ten Transformer blocks without skip connections and without normalisation.",
        VANISHING,
        ("initialization", "residual", "normalization", "depth"),
        on_digits(lambda: Tokens([Plain() for _ in range(10)])),
        steps=100,
    ),
    sick(
        "branches-sigmoid-beside-relu",
        "branches",
        "One branch of twelve sigmoids is starved while the other one learns the task: accuracy is good.",
        VANISHING,
        ("activation",),
        on_digits(lambda: Branches(xavier(mlp(12, nn.Sigmoid)[:-1]), he(mlp(2, nn.ReLU)[:-1]), 64)),
        layers=("network.one",),
    ),
    sick(
        "branches-tiny-beside-relu",
        "branches",
        "One branch begins with tiny weights and is starved; the other one learns the task.",
        VANISHING,
        ("initialization",),
        on_digits(
            lambda: Branches(he(mlp(2, nn.ReLU)[:-1]), normal(mlp(10, nn.Tanh), 0.01)[:-1], 64), optimizer=sgd(lr=0.02)
        ),
        layers=("network.other",),
    ),
    sick(
        "mlp-sigmoids-in-the-middle",
        "mlp",
        "Ten sigmoids between healthy ReLU layers cut off what lies below.",
        VANISHING,
        ("activation",),
        on_digits(_middle),
    ),
    sick(
        "deep-supervision-sick-main",
        "branches",
        "The early head learns; the main one stands on twelve sigmoids that get nothing.",
        VANISHING,
        ("activation",),
        on_digits(Supervised, loss=_both),
        layers=("network.deep",),
    ),
    sick(
        "mlp-late-shrink-120",
        "mlp",
        "A healthy net whose weights are multiplied by 0.05 at step 120.",
        VANISHING,
        ("initialization",),
        on_digits(lambda: he(mlp(8, nn.ReLU)), lambda: [At(120, _shrink)], optimizer=sgd(lr=0.02)),
        onset=120,
        steps=280,
    ),
    sick(
        "mlp-late-shrink-320",
        "mlp",
        "A net of leaky units that has converged, when at step 320 its weights are multiplied by 0.05.",
        VANISHING,
        ("initialization",),
        on_digits(lambda: he(mlp(8, nn.LeakyReLU)), lambda: [At(320, _shrink)], optimizer=sgd(lr=0.02)),
        onset=320,
        steps=460,
        seeds=(0,),
    ),
    sick(
        "transformer-post-norm-12-no-warm-up",
        "transformer",
        "Twelve blocks with their normalisation behind the sum, and a full learning rate from the first step on.",
        ("vanishing", "exploding", "saturation", "dead_units"),
        ("normalization", "learning_rate"),
        on_digits(_post_norm, optimizer=adam(lr=0.02)),
        steps=100,
        seeds=(0,),
        onset=2,
    ),
    sick(
        "mlp-heals-at-120",
        "mlp",
        "Shrunken weights; at step 120 they are drawn anew by He, and it learns: a finding that is resolved.",
        VANISHING,
        ("initialization",),
        on_digits(lambda: normal(mlp(10, nn.ReLU), 0.01), lambda: [At(120, _reset)]),
        steps=320,
    ),
    sick(
        "mlp-norm-batch-of-2",
        "normalisation",
        "Batches of two: batch norm turns every pair into plus and minus one, and its gradient is all but nothing.",
        VANISHING,
        ("normalization",),
        on_digits(
            lambda: mlp(6, nn.ReLU, between=nn.BatchNorm1d),
            loader=functools.partial(digits, size=2),
            optimizer=sgd(lr=0.01),
        ),
        onset=6,
    ),
    sick(
        "mlp-narrow-relu-24",
        "mlp",
        "Eight units a layer and default weights, twenty-four layers deep.",
        VANISHING,
        ("initialization", "depth"),
        on_digits(lambda: mlp(24, nn.ReLU, 16)),
        seeds=(0,),
    ),
    sick(
        "mlp-linear-16-small",
        "mlp",
        "No activation at all: small weights alone lose the gradient.",
        VANISHING,
        ("initialization",),
        on_digits(lambda: draw(nn.Sequential(*linears(16)), functools.partial(nn.init.xavier_normal_, gain=0.4))),
        seeds=(0,),
    ),
    sick(
        "mlp-weight-decay-shrinks",
        "mlp",
        "Decay of the weights outweighs the gradient: they shrink until nothing arrives.",
        ("vanishing", "stalled"),
        ("learning_rate", "initialization"),
        on_digits(lambda: he(mlp(8, nn.ReLU)), optimizer=sgd(lr=0.05, weight_decay=0.5)),
        onset=36,
        steps=250,
    ),
)
