"""Builders of small networks, from flat digits (batch, 64) to class scores (batch, 10).

Each argument of a builder is one thing that textbooks blame for vanishing gradients, so that two networks can differ in
that one thing only.  Weights are drawn from torch's global generator: seed it before.
"""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
from torch import nn

FEATURES, CLASSES, SIDE = 64, 10, 8

Activation = Literal["sigmoid", "tanh", "relu", "gelu"]
Init = Literal["default", "xavier", "he"] | tuple[Literal["normal"], float]
Cell = Literal["rnn", "lstm"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
}


class Residual(nn.Module):
    """Adds what a block makes of its input to that input.  Shapes are kept: (*) -> (*).

    Source: He et al., "Deep Residual Learning for Image Recognition" (2015), equation 1.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The input plus the block's answer to it."""
        return x + self.block(x)


class Recall(nn.Module):
    """Reads a digit row by row, waits, and answers after the last step: (batch, 64) -> (batch, 10).

    What is to be recalled stands in the first 8 steps only, so that a loss after ``steps`` of them has to reach back
    through time; without the wait the last rows would give the digit away.
    """

    def __init__(self, cell: Cell, width: int, steps: int) -> None:
        super().__init__()
        self.wait = steps - SIDE
        self.recurrent = {"rnn": nn.RNN, "lstm": nn.LSTM}[cell](SIDE, width, batch_first=True)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The class scores, from the state after the wait."""
        rows = x.unflatten(1, (SIDE, SIDE))
        states, _ = self.recurrent(nn.functional.pad(rows, (0, 0, 0, self.wait)))
        return cast(torch.Tensor, self.head(states[:, -1]))


def mlp(
    depth: int = 20,
    width: int = 64,
    activation: Activation = "sigmoid",
    init: Init = "default",
    *,
    norm: bool = False,
    residual: bool = False,
) -> nn.Sequential:
    """``depth`` hidden layers and a linear head: (batch, 64) -> (batch, 10).

    Example:
        >>> [type(module).__name__ for module in mlp(depth=1, norm=True)]
        ['Linear', 'BatchNorm1d', 'Sigmoid', 'Linear']
    """
    modules: list[nn.Module] = []
    for i in range(depth):
        block: list[nn.Module] = [nn.Linear(width if i else FEATURES, width)]
        block += [nn.BatchNorm1d(width)] if norm else []
        block += [_ACTIVATIONS[activation]()]
        modules += [Residual(nn.Sequential(*block))] if residual and i else block
    return initialize(nn.Sequential(*modules, nn.Linear(width, CLASSES)), init)


def cnn(
    depth: int = 20,
    width: int = 16,
    activation: Activation = "relu",
    init: Init = "default",
    *,
    norm: bool = False,
) -> nn.Sequential:
    """``depth`` 3x3 convolutions over 8x8 pixels and a linear head: (batch, 64) -> (batch, 10)."""
    modules: list[nn.Module] = [nn.Unflatten(1, (1, SIDE, SIDE))]
    for i in range(depth):
        modules += [nn.Conv2d(width if i else 1, width, 3, padding=1)]
        modules += [nn.BatchNorm2d(width)] if norm else []
        modules += [_ACTIVATIONS[activation]()]
    return initialize(nn.Sequential(*modules, nn.Flatten(), nn.Linear(width * FEATURES, CLASSES)), init)


def recall(cell: Cell = "rnn", width: int = 64, steps: int = 48, *, remember: bool = False) -> Recall:
    """A recurrent network that answers ``steps - 8`` steps after it has read the digit: (batch, 64) -> (batch, 10).

    ``remember`` starts an LSTM's forget gates at 1 - 1/steps, so that it keeps what it read first until the end.
    Source: Tallec and Ollivier, "Can recurrent neural networks warp time?" (2018), section 2.
    """
    network = Recall(cell, width, steps)
    if remember:
        gates = network.recurrent.bias_ih_l0
        with torch.no_grad():
            gates[width : 2 * width] = math.log(steps - 1)  # torch's order of gates: input, forget, cell, output
    return network


def initialize(network: nn.Sequential, init: Init) -> nn.Sequential:
    """Draws the weights of every linear and convolutional layer anew; "default" leaves them as torch made them."""
    if init != "default":
        for layer in network.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                _draw(layer, init)
    return network


def _draw(layer: nn.Linear | nn.Conv2d, init: Init) -> None:
    if init == "xavier":
        nn.init.xavier_normal_(layer.weight)
    elif init == "he":
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.normal_(layer.weight, std=float(init[1]))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
