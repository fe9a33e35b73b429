"""Dead units: by a bias, a learning rate, a loss, unscaled inputs; whole layers, a part, more and more."""

from __future__ import annotations

import functools
from typing import Any

import torch
from fit import Fit, Setup
from torch import nn
from torch.nn.functional import cross_entropy
from zoo._data import batches, table
from zoo._networks import At, Learner, adam, cnn, he, mlp, on_digits, sgd
from zoo._sick import sick

DEAD = ("dead_units",)


def _biased(network: Any, bias: float, *which: int, part: float = 1.0) -> Any:
    """Sets the bias of some layers (their places in the network), of a part of their units."""
    for i in which:
        with torch.no_grad():
            network[i].bias[: round(part * len(network[i].bias))] = bias
    return network


class Watched(nn.Module):
    """Keeps what its hidden layers answer, for a loss that speaks of it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(he(mlp(4, nn.ReLU)))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        kept = []
        for layer in self.layers:
            x = layer(x)
            kept += [x] if isinstance(layer, nn.ReLU) else []
        return x, kept


def _sparse(answer: tuple[torch.Tensor, list[torch.Tensor]], y: torch.Tensor) -> torch.Tensor:
    scores, kept = answer
    return cross_entropy(scores, y) + sum(10 * hidden.mean() for hidden in kept)


def _kill(module: Any) -> None:
    module.network[2].bias.sub_(30.0)


class Drift(At):
    """Lowers the biases of one layer a little before every batch from a step on."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step >= self.step:
            with torch.no_grad():
                self.act(pl_module)


def _wine(network: Any, optimizer: Any) -> Any:
    data = functools.partial(table, "wine", standardised=False)
    return lambda seed: Setup(module=Learner(network(), optimizer=optimizer), loader=batches(data(), seed, 32))


FITS: tuple[Fit, ...] = (
    sick(
        "mlp-relu-bias-minus-5",
        "mlp",
        "Every hidden unit begins with a bias of -5 and hardly any ever fires.",
        DEAD,
        ("initialization",),
        on_digits(lambda: _biased(he(mlp(4, nn.ReLU)), -5.0, 0, 2, 4, 6), optimizer=sgd(lr=0.01)),
    ),
    sick(
        "mlp-relu-one-layer-dead",
        "mlp",
        "One layer of five is dead from the start and starves the ones below.",
        DEAD,
        ("initialization",),
        on_digits(lambda: _biased(he(mlp(5, nn.ReLU)), -40.0, 4)),
        layers=("network.4", "network.5"),
    ),
    sick(
        "cnn-relu-dead-channels",
        "cnn",
        "Ten of twelve channels of a convolution are dead; the rest carries on.",
        DEAD,
        ("initialization",),
        on_digits(lambda: _biased(he(cnn(4, nn.ReLU)), -60.0, 3, part=10 / 12)),
        layers=("network.3", "network.4"),
        steps=120,
    ),
    sick(
        "mlp-relu-three-in-four-dead",
        "mlp",
        "Three units in four of two layers never fire.",
        DEAD,
        ("initialization",),
        on_digits(lambda: _biased(he(mlp(4, nn.ReLU)), -40.0, 2, 4, part=0.8)),
        layers=("network.2", "network.3", "network.4", "network.5"),
    ),
    sick(
        "mlp-relu-adam-rate-0.5",
        "mlp",
        "Adam with a rate of 0.5 kills the units within a few steps.",
        ("dead_units", "exploding"),
        ("learning_rate",),
        on_digits(lambda: he(mlp(4, nn.ReLU)), optimizer=adam(lr=0.5)),
    ),
    sick(
        "cnn-relu-sgd-rate-2",
        "cnn",
        "A learning rate of 2 with momentum kills the convolutions.",
        ("dead_units", "exploding", "nonfinite"),
        ("learning_rate",),
        on_digits(lambda: he(cnn(4, nn.ReLU)), optimizer=sgd(lr=2.0, momentum=0.9)),
        steps=120,
    ),
    sick(
        "mlp-relu-penalty-kills",
        "mlp",
        "A penalty on activity far too heavy: silencing all units is the quickest way down.",
        DEAD,
        ("loss", "learning_rate"),
        on_digits(Watched, loss=_sparse, optimizer=adam(lr=3e-3)),
        onset=27,
    ),
    sick(
        "wine-raw-relu",
        "data",
        "Features of up to 1,680 as they come: the first updates kill the units.",
        ("dead_units", "exploding", "nonfinite"),
        ("data", "learning_rate"),
        _wine(lambda: he(mlp(3, nn.ReLU, 32, 13, 3)), sgd(lr=0.05)),
    ),
    sick(
        "mlp-relu-layer-dies-at-120",
        "mlp",
        "The biases of one layer fall by 30 at step 120.",
        DEAD,
        ("initialization", "learning_rate"),
        on_digits(lambda: he(mlp(4, nn.ReLU)), lambda: [At(120, _kill)], optimizer=sgd(lr=0.02)),
        layers=("network.2", "network.3"),
        onset=120,
        steps=240,
    ),
    sick(
        "mlp-relu-dies-slowly",
        "mlp",
        "From step 50 on the biases of one layer sink by 0.1 a step: more units die every step.",
        DEAD,
        ("initialization", "learning_rate"),
        on_digits(
            lambda: he(mlp(4, nn.ReLU)),
            lambda: [Drift(50, lambda module: module.network[2].bias.sub_(0.15))],
            optimizer=sgd(lr=0.02),
        ),
        layers=("network.2", "network.3"),
        onset=70,
        steps=240,
    ),
)
