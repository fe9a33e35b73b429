"""Twins of sick_tasks.py: ReLU with He, or tanh with Xavier, on the same task."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from fit import Setup
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from twin import Twin
from zoo._data import batches, passages, table
from zoo._networks import Learner, he, mlp, xavier
from zoo.sick_tasks import _tabular, _yes_or_no

WIDTHS = [64, 48, 40, 32, 24, 16, 8, 16, 24, 32, 40, 48, 64]


def explained(module: Any, loader: Any) -> float:
    """Share of the target's variance that is explained: targets are standardised, one variance for all of them."""
    x, y = loader.dataset.tensors
    with torch.no_grad():
        out = module.network(x.to(next(module.parameters()).dtype))
    return float(1 - (out - y).square().mean() / y.var())


def yes_or_no(module: Any, loader: Any) -> float:
    """Share of right answers of a network with one logit."""
    x, y = loader.dataset.tensors
    with torch.no_grad():
        return float(((module.network(x).squeeze(1) > 0) == (y > 0.5)).float().mean())


def _autoencoder(seed: int) -> Setup:
    layers = [part for a, b in itertools.pairwise(WIDTHS) for part in (nn.Linear(a, b), nn.ReLU())]
    x, _ = table("digits")
    return Setup(module=Learner(he(nn.Sequential(*layers[:-1])), mse_loss), loader=batches((x, x), seed))


def _text(seed: int) -> Setup:
    network = nn.Sequential(nn.Embedding(128, 8), nn.Flatten(), he(mlp(12, nn.ReLU, features=128, classes=128)))
    return Setup(module=Learner(network), loader=passages(seed, length=16))


TWINS = {
    "autoencoder-sigmoid-12": Twin(build=_autoencoder, score=explained),
    "wine-sigmoid-12": Twin(build=_tabular("wine", lambda: he(mlp(12, nn.ReLU, 24, 13, 3)), cross_entropy)),
    "cancer-sigmoid-12-bce": Twin(
        build=_tabular("breast_cancer", lambda: he(mlp(12, nn.ReLU, 32, 30, 1)), _yes_or_no), score=yes_or_no
    ),
    "diabetes-tanh-18-tiny": Twin(
        build=_tabular("diabetes", lambda: xavier(mlp(18, nn.Tanh, 32, 10, 1)), mse_loss), score=explained
    ),
    "text-sigmoid-12": Twin(build=_text),
}
