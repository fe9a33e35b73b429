"""Exploding: along the depth, through time, by a learning rate or a batch that throws the weights away."""

from __future__ import annotations

import functools
from typing import Any

import torch
from fit import Fit, Setup
from torch import nn
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import LambdaLR
from zoo._data import batches, raw_digits, table
from zoo._networks import AtBatch, Learner, Residual, adam, cnn, draw, he, linears, mlp, on_digits, sgd, xavier
from zoo._sick import sick

EXPLODING = ("exploding", "nonfinite")
RATE = ("learning_rate",)


def times_he(network: nn.Module, factor: float) -> Any:
    """He's weights times a factor."""
    return draw(network, lambda w: nn.init.normal_(w, std=factor * (2 / w[0].numel()) ** 0.5))


class Spectral(nn.Module):
    """A ReLU recurrent net whose recurrent weights stretch every state by ``radius``."""

    def __init__(self, radius: float, steps: int = 32, kind: str = "relu") -> None:
        super().__init__()
        self.recurrent, self.head = nn.RNN(8, 48, batch_first=True, nonlinearity=kind), nn.Linear(48, 10)
        self.wait = steps - 8
        nn.init.orthogonal_(self.recurrent.weight_hh_l0, gain=radius)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.recurrent(nn.functional.pad(x.unflatten(1, (8, 8)), (0, 0, 0, self.wait)))
        return self.head(states[:, -1])


def _skips(depth: int) -> nn.Module:
    blocks = [
        Residual(nn.Sequential(nn.ReLU(), he(nn.Linear(64, 64)), nn.ReLU(), he(nn.Linear(64, 64))))
        for _ in range(depth)
    ]
    return nn.Sequential(*blocks, nn.Linear(64, 10))


def _jump(step: int, factor: float) -> Any:
    return functools.partial(LambdaLR, lr_lambda=lambda i: factor if i >= step else 1.0)


def _diabetes(optimizer: Any, network: Any) -> Any:
    return lambda seed: Setup(module=Learner(network(), mse_loss, optimizer), loader=batches(table("diabetes"), seed))


def _outlier(factor: float, step: int) -> Any:
    return lambda: [AtBatch(step, lambda batch: batch[0].mul_(factor))]


FITS: tuple[Fit, ...] = (
    sick(
        "mlp-relu-20-times-3",
        "mlp",
        "Weights of three times He's size: every layer stretches the gradient.",
        EXPLODING,
        ("initialization",),
        on_digits(lambda: times_he(mlp(20, nn.ReLU), 3.0), optimizer=sgd(lr=1e-4)),
    ),
    sick(
        "mlp-leaky-16-times-4",
        "mlp",
        "Leaky units with weights of four times He's size, under Adam.",
        EXPLODING,
        ("initialization",),
        on_digits(lambda: times_he(mlp(16, nn.LeakyReLU), 4.0)),
    ),
    sick(
        "cnn-relu-12-times-3",
        "cnn",
        "Convolutions that begin with three times He's size.",
        EXPLODING,
        ("initialization",),
        on_digits(lambda: times_he(cnn(12, nn.ReLU), 3.0), optimizer=sgd(lr=1e-4)),
        steps=100,
    ),
    sick(
        "rnn-relu-radius-1.8",
        "rnn",
        "Recurrent weights stretch every state by 1.8, over 32 steps.",
        EXPLODING,
        ("recurrence", "initialization"),
        on_digits(lambda: Spectral(1.8), optimizer=sgd(lr=1e-3, momentum=0.9)),
        steps=120,
    ),
    sick(
        "rnn-relu-radius-2.5-sgd",
        "rnn",
        "Recurrent weights stretch every state by 2.5, under plain SGD.",
        EXPLODING,
        ("recurrence", "initialization"),
        on_digits(lambda: Spectral(2.5, 24), optimizer=sgd(lr=1e-3)),
        steps=120,
    ),
    sick(
        "residual-unscaled-30",
        "residual",
        "Thirty blocks added at full size without normalisation: size doubles with every one.",
        EXPLODING,
        ("residual", "normalization", "initialization"),
        on_digits(lambda: _skips(30), optimizer=sgd(lr=0.01)),
        steps=100,
    ),
    sick(
        "mlp-rate-too-high-sgd",
        "mlp",
        "A learning rate of 5 throws the weights away within some steps.",
        ("exploding", "nonfinite", "dead_units"),
        RATE,
        on_digits(lambda: he(mlp(4, nn.ReLU)), optimizer=sgd(lr=5.0, momentum=0.9)),
        layers=("network",),
    ),
    sick(
        "diabetes-rate-grows-slowly",
        "mlp",
        "A linear net whose rate is a little above what its curvature allows: the loss grows a little every step.",
        EXPLODING,
        RATE,
        _diabetes(sgd(lr=0.265), lambda: nn.Linear(10, 1)),
        steps=200,
        layers=("network",),
    ),
    sick(
        "mlp-rate-jumps-at-120",
        "mlp",
        "A schedule multiplies the learning rate by 3,000 at step 120.",
        ("exploding", "nonfinite", "dead_units"),
        RATE,
        on_digits(lambda: he(mlp(4, nn.ReLU)), optimizer=sgd(lr=0.02), scheduler=_jump(120, 3000.0)),
        onset=120,
        steps=220,
        layers=("network",),
    ),
    sick(
        "mlp-adam-rate-jumps-at-100",
        "mlp",
        "Adam's rate jumps from 0.001 to 3 at step 100.",
        ("exploding", "dead_units", "nonfinite"),
        RATE,
        on_digits(lambda: he(mlp(4, nn.ReLU)), optimizer=adam(lr=1e-3), scheduler=_jump(100, 3000.0)),
        onset=100,
        steps=200,
        layers=("network",),
    ),
    sick(
        "mlp-outlier-batch-at-120",
        "data",
        "The batch of step 120 is a million times too large and of the wrong sign: SGD destroys the weights on it.",
        ("exploding", "dead_units", "nonfinite"),
        ("data",),
        on_digits(lambda: he(mlp(4, nn.ReLU)), _outlier(-1e6, 120), optimizer=sgd(lr=0.05)),
        onset=120,
        steps=220,
        layers=("network",),
    ),
    sick(
        "digits-times-1000-sgd",
        "data",
        "Inputs of up to 16,000 under plain SGD: the first update is far too long.",
        ("exploding", "nonfinite", "dead_units"),
        ("data", "learning_rate"),
        on_digits(
            lambda: xavier(mlp(2, nn.ReLU)), loader=functools.partial(raw_digits, factor=1000.0), optimizer=sgd(lr=0.01)
        ),
        layers=("network",),
    ),
    sick(
        "mlp-linear-12-times-5",
        "mlp",
        "Twelve linear layers, each of which stretches by five.",
        EXPLODING,
        ("initialization",),
        on_digits(
            lambda: draw(nn.Sequential(*linears(12)), functools.partial(nn.init.xavier_normal_, gain=5.0)),
            optimizer=sgd(lr=1e-6),
        ),
        seeds=(0,),
    ),
)
