"""Vanishing along the depth on other tasks than digits' classes: tables, pictures made again, text."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from fit import Fit, Setup
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from zoo._data import batches, passages, table
from zoo._networks import (
    Learner,
    adam,
    mlp,
    normal,
    xavier,
)
from zoo._sick import sick

VANISHING = ("vanishing",)


def _autoencoder(seed: int) -> Setup:
    widths = [64, 48, 40, 32, 24, 16, 8, 16, 24, 32, 40, 48, 64]
    layers = [part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b), nn.Sigmoid())]
    x, _ = table("digits")
    return Setup(module=Learner(nn.Sequential(*layers[:-1]), mse_loss), loader=batches((x, x), seed))


def _tabular(name: str, network: Any, loss: Any, size: int = 32) -> Any:
    return lambda seed: Setup(module=Learner(network(), loss, adam(lr=1e-3)), loader=batches(table(name), seed, size))


def _yes_or_no(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return binary_cross_entropy_with_logits(out.squeeze(1), y.to(out.dtype))


def _text(seed: int) -> Setup:
    network = nn.Sequential(nn.Embedding(128, 8), nn.Flatten(), xavier(mlp(12, nn.Sigmoid, features=128, classes=128)))
    return Setup(module=Learner(network), loader=passages(seed, length=16))


FITS: tuple[Fit, ...] = (
    sick(
        "autoencoder-sigmoid-12",
        "autoencoder",
        "The encoder of a sigmoid autoencoder gets nothing through the bottleneck.",
        VANISHING,
        ("activation", "initialization"),
        _autoencoder,
    ),
    sick(
        "wine-sigmoid-12",
        "mlp",
        "Twelve narrow sigmoids on thirteen features of wines.",
        VANISHING,
        ("activation", "initialization"),
        _tabular("wine", lambda: mlp(12, nn.Sigmoid, 24, 13, 3), cross_entropy),
    ),
    sick(
        "cancer-sigmoid-12-bce",
        "mlp",
        "A binary task, Xavier weights, twelve sigmoids.",
        VANISHING,
        ("activation",),
        _tabular("breast_cancer", lambda: xavier(mlp(12, nn.Sigmoid, 32, 30, 1)), _yes_or_no),
    ),
    sick(
        "diabetes-tanh-18-tiny",
        "mlp",
        "A regression through tanh layers that begin with weights of 0.05.",
        VANISHING,
        ("initialization",),
        _tabular("diabetes", lambda: normal(mlp(18, nn.Tanh, 32, 10, 1), 0.05), mse_loss),
    ),
    sick(
        "text-sigmoid-12",
        "embedding",
        "The next byte of a text through twelve sigmoids: the embedding gets nothing.",
        VANISHING,
        ("activation",),
        _text,
    ),
)
