"""Twins of sick_dead.py: biases of zero, rates and inputs of the right size, nothing that kills."""

from __future__ import annotations

import functools
from typing import Any

import torch
from fit import Setup
from torch import nn
from twin import Twin
from zoo._data import batches, table
from zoo._networks import Learner, adam, cnn, he, mlp, on_digits, sgd
from zoo.sick_dead import Watched


def scores_alone(module: Any, loader: Any) -> float:
    """Share of right answers of a network that also answers what its hidden layers said."""
    x, y = loader.dataset.tensors
    with torch.no_grad():
        return float((module.network(x)[0].argmax(1) == y).float().mean())


def _wine(seed: int) -> Setup:
    network = he(mlp(3, nn.ReLU, 32, 13, 3))
    return Setup(module=Learner(network, optimizer=sgd(lr=0.05)), loader=batches(table("wine"), seed, 32))


def _entropy(answer: tuple[torch.Tensor, list[torch.Tensor]], y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(answer[0], y)


SGD = sgd(lr=0.02)
_mlp = functools.partial(mlp, 4, nn.ReLU)
TWINS = {
    "mlp-relu-bias-minus-5": Twin(build=on_digits(lambda: he(_mlp()), optimizer=sgd(lr=0.01))),
    "mlp-relu-one-layer-dead": Twin(build=on_digits(lambda: he(mlp(5, nn.ReLU)))),
    "cnn-relu-dead-channels": Twin(build=on_digits(lambda: he(cnn(4, nn.ReLU)))),
    "mlp-relu-three-in-four-dead": Twin(build=on_digits(lambda: he(_mlp()))),
    "mlp-relu-adam-rate-0.5": Twin(build=on_digits(lambda: he(_mlp()), optimizer=adam(lr=1e-3))),
    "cnn-relu-sgd-rate-2": Twin(build=on_digits(lambda: he(cnn(4, nn.ReLU)), optimizer=sgd(lr=0.01, momentum=0.9))),
    "mlp-relu-penalty-kills": Twin(
        build=on_digits(Watched, loss=_entropy, optimizer=adam(lr=3e-3)),
        bug="The loss itself asks for silence: its minimum is the sick state, and the loss is the user's.",
        score=scores_alone,
    ),
    "wine-raw-relu": Twin(build=_wine),
    "mlp-relu-layer-dies-at-120": Twin(build=on_digits(lambda: he(_mlp()), optimizer=SGD)),
    "mlp-relu-dies-slowly": Twin(build=on_digits(lambda: he(_mlp()), optimizer=SGD)),
}
