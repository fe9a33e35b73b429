"""Saturation: by large weights, unscaled inputs, sharp logits, decided gates, a learning rate, the wrong loss."""

from __future__ import annotations

import functools
from typing import Any

import torch
from fit import Fit, Setup
from torch import nn
from torch.nn.functional import mse_loss
from zoo._data import batches, raw_digits, table
from zoo._networks import At, Learner, adam, he, mlp, normal, on_digits, sgd, xavier
from zoo._sick import sick

SATURATED = ("saturation",)


def _hidden(network: Any, std: float) -> Any:
    """Draws all weights but the head's from N(0, std squared)."""
    normal(network[:-1], std)
    return network


class Attention(nn.Module):
    """Attention over the rows of a digit with logits ``sharp`` times too large."""

    def __init__(self, sharp: float, width: int = 32) -> None:
        super().__init__()
        self.embed, self.query, self.key = nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.softmax, self.head = nn.Linear(width, width), nn.Softmax(-1), nn.Linear(width, 10)
        self.sharp = sharp
        self.place = nn.Parameter(torch.randn(8, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x.unflatten(1, (8, 8))) + self.place
        weights = self.softmax(self.sharp * self.query(x) @ self.key(x).mT)
        return self.head((weights @ self.value(x)).mean(1))


class Gated(nn.Module):
    """An LSTM over the rows of a digit whose gates are driven to their ends by its weights."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.recurrent, self.head = nn.LSTM(8, 48, batch_first=True), nn.Linear(48, 10)
        for name, parameter in self.recurrent.named_parameters():
            if "weight" in name:
                nn.init.normal_(parameter, std=std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrent(x.unflatten(1, (8, 8)))[0][:, -1])


def _squared(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return mse_loss(out, nn.functional.one_hot(y, 10).to(out.dtype))


def _squashed() -> nn.Module:
    """A sigmoid at the output whose inputs begin far below zero."""
    network = nn.Sequential(*he(mlp(2, nn.ReLU)), nn.Sigmoid())
    nn.init.constant_(network[4].bias, 12.0)
    return network


def _grow(module: Any) -> None:
    for layer in module.network:
        if isinstance(layer, nn.Linear) and layer.out_features > 10:
            layer.weight.mul_(30.0)


def _wine(network: Any, optimizer: Any) -> Any:
    data = functools.partial(table, "wine", standardised=False)
    return lambda seed: Setup(module=Learner(network(), optimizer=optimizer), loader=batches(data(), seed, 32))


FITS: tuple[Fit, ...] = (
    sick(
        "mlp-sigmoid-10-normal-5",
        "mlp",
        "Weights of N(0, 25) drive every sigmoid to its ends; large weights hide in the sum what the slopes lose.",
        ("saturation", "vanishing", "exploding"),
        ("initialization",),
        on_digits(lambda: _hidden(mlp(10, nn.Sigmoid), 5.0), optimizer=sgd(lr=0.05)),
    ),
    sick(
        "mlp-tanh-8-normal-3",
        "mlp",
        "Weights of N(0, 9) saturate tanh layers of width 64.",
        ("saturation", "exploding"),
        ("initialization",),
        on_digits(lambda: _hidden(mlp(8, nn.Tanh), 3.0)),
    ),
    sick(
        "mlp-tanh-inputs-times-1000",
        "data",
        "Pixels of up to 16,000 saturate the first layer; the ones above learn on what it happens to say.",
        SATURATED,
        ("data",),
        on_digits(lambda: xavier(mlp(3, nn.Tanh)), loader=functools.partial(raw_digits, factor=1000.0)),
        layers=("network.0", "network.1"),
    ),
    sick(
        "wine-raw-sigmoid",
        "data",
        "Features of up to 1,680 as they come saturate the sigmoids of the first layer.",
        SATURATED,
        ("data",),
        _wine(lambda: xavier(mlp(3, nn.Sigmoid, 32, 13, 3)), adam(lr=1e-3)),
        layers=("network.0", "network.1"),
    ),
    sick(
        "attention-logits-times-50",
        "transformer",
        "Attention logits fifty times too large: every token looks at one other, and queries and keys learn nothing.",
        SATURATED,
        ("initialization", "activation", "normalization"),
        on_digits(lambda: Attention(50.0)),
        layers=("network.query", "network.key", "network.softmax"),
    ),
    sick(
        "mlp-hardsigmoid-6-large",
        "mlp",
        "Hard sigmoids beyond their linear part have a slope of exactly zero.",
        ("saturation", "dead_units", "vanishing"),
        ("initialization", "activation"),
        on_digits(lambda: _hidden(mlp(6, nn.Hardsigmoid), 12.0), optimizer=sgd(lr=0.05)),
    ),
    sick(
        "lstm-gates-saturated",
        "rnn",
        "Weights of N(0, 225) drive all gates to their ends.",
        ("saturation", "vanishing"),
        ("initialization", "recurrence"),
        on_digits(lambda: Gated(15.0), optimizer=sgd(lr=0.1)),
        layers=("network.recurrent",),
        steps=120,
    ),
    sick(
        "output-sigmoid-squared-loss",
        "mlp",
        "A squared error behind sigmoids that begin at their end: the loss cannot move them.",
        ("saturation", "vanishing", "stalled"),
        ("loss", "activation", "initialization"),
        on_digits(_squashed, loss=_squared, optimizer=sgd(lr=0.1)),
    ),
    sick(
        "mlp-tanh-adam-rate-1",
        "mlp",
        "Adam with a rate of 1 drives every tanh to its ends within some steps.",
        ("saturation", "exploding"),
        ("learning_rate",),
        on_digits(lambda: xavier(mlp(4, nn.Tanh)), optimizer=adam(lr=1.0)),
    ),
    sick(
        "mlp-tanh-saturates-at-120",
        "mlp",
        "The weights of a healthy tanh net grow thirty-fold at step 120.",
        ("saturation", "exploding"),
        ("initialization",),
        on_digits(lambda: xavier(mlp(5, nn.Tanh)), lambda: [At(120, _grow)], optimizer=sgd(lr=0.05)),
        onset=120,
        steps=240,
    ),
)
