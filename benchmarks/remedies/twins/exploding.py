"""Twins of sick_exploding.py: weights, rates and inputs of the right size."""

from __future__ import annotations

from fit import Setup
from torch import nn
from torch.nn.functional import mse_loss
from twin import Twin
from zoo._data import batches, digits, table
from zoo._networks import Learner, Residual, adam, cnn, he, linears, mlp, on_digits, sgd, xavier
from zoo.sick_exploding import Spectral

from .tasks import explained

SGD = sgd(lr=0.02)


def _skips(depth: int) -> nn.Module:
    """Blocks that are normalised before they are added, scaled by one over the root of their number."""
    blocks = [
        Residual(nn.Sequential(nn.LayerNorm(64), he(nn.Linear(64, 64)), nn.ReLU(), he(nn.Linear(64, 64))), depth**-0.5)
        for _ in range(depth)
    ]
    return nn.Sequential(*blocks, nn.LayerNorm(64), nn.Linear(64, 10))


def _diabetes(seed: int) -> Setup:
    loader = batches(table("diabetes"), seed)
    return Setup(module=Learner(nn.Linear(10, 1), mse_loss, sgd(lr=0.05)), loader=loader)


def _mlp4(optimizer: object) -> Twin:
    return Twin(build=on_digits(lambda: he(mlp(4, nn.ReLU)), optimizer=optimizer))


TWINS = {
    "mlp-relu-20-times-3": Twin(build=on_digits(lambda: he(mlp(20, nn.ReLU)))),
    "mlp-leaky-16-times-4": Twin(build=on_digits(lambda: he(mlp(16, nn.LeakyReLU)))),
    "cnn-relu-12-times-3": Twin(build=on_digits(lambda: he(cnn(12, nn.ReLU)))),
    "rnn-relu-radius-1.8": Twin(build=on_digits(lambda: Spectral(1.0, 32, "tanh"), optimizer=adam(lr=3e-3))),
    "rnn-relu-radius-2.5-sgd": Twin(build=on_digits(lambda: Spectral(1.0, 24, "tanh"), optimizer=adam(lr=3e-3))),
    "residual-unscaled-30": Twin(build=on_digits(lambda: _skips(30), optimizer=sgd(lr=0.01))),
    "mlp-rate-too-high-sgd": _mlp4(sgd(lr=0.01, momentum=0.9)),
    "diabetes-rate-grows-slowly": Twin(build=_diabetes, score=explained),
    "mlp-rate-jumps-at-120": _mlp4(SGD),
    "mlp-adam-rate-jumps-at-100": _mlp4(adam(lr=1e-3)),
    "mlp-outlier-batch-at-120": _mlp4(sgd(lr=0.05)),
    "digits-times-1000-sgd": Twin(build=on_digits(lambda: xavier(mlp(2, nn.ReLU)), loader=digits, optimizer=SGD)),
    "mlp-linear-12-times-5": Twin(build=on_digits(lambda: xavier(nn.Sequential(*linears(12))), optimizer=SGD)),
}
