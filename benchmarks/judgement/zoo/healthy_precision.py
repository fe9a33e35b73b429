"""Other precisions and other scales of the loss: the numbers differ, the flow does not."""

from __future__ import annotations

from functools import partial

import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import he, mlp
from ._healthy_task import adam, healthy, recipe, sgd
from .healthy_images import cnn


def network() -> nn.Sequential:
    return he(mlp(hidden=(64, 64, 64)))


def scaled(factor: float):
    """Cross-entropy times a factor."""
    return lambda out, y: factor * functional.cross_entropy(out, y)


def half(scale: float) -> dict:
    """float16 autocast with a gradient scaler, which works on a CPU too."""
    return {"plugins": [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))]}


fit = partial(recipe, network)
FITS = (
    healthy(
        "loss-1e-6-adam",
        "precision",
        "A loss a million times smaller: every gradient is too, Adam does not mind.",
        fit(loss=scaled(1e-6), optimizer=adam(3e-3, eps=1e-14)),
        seeds=(0, 1),
    ),
    healthy("loss-1e6-adam", "precision", "A loss a million times larger.", fit(loss=scaled(1e6)), seeds=(0, 1)),
    healthy(
        "loss-1e-6-sgd-rescaled",
        "precision",
        "The rate makes up for the loss.",
        fit(loss=scaled(1e-6), optimizer=sgd(0.05e6)),
    ),
    healthy(
        "loss-1e6-sgd-rescaled",
        "precision",
        "The rate makes up for the loss.",
        fit(loss=scaled(1e6), optimizer=sgd(0.05e-6)),
    ),
    healthy(
        "loss-1e-4-cnn-adam",
        "precision",
        "A small loss on a CNN.",
        recipe(lambda: he(cnn()), data.images, loss=scaled(1e-4), optimizer=adam(3e-3, eps=1e-12)),
    ),
    healthy(
        "half-scaler-cold-start",
        "precision",
        "The scaler starts far too high and skips its first steps.",
        fit(trainer=partial(half, 2.0**40), optimizer=adam(2e-3)),
        steps=200,
        seeds=(0, 1),
    ),
    healthy("half-scaler-settled", "precision", "float16 with a scale that fits.", fit(trainer=partial(half, 128.0))),
    healthy(
        "bf16-mixed", "precision", "Three digits in the activations.", fit(trainer=lambda: {"precision": "bf16-mixed"})
    ),
    healthy(
        "bf16-true",
        "precision",
        "Three digits everywhere: small updates are rounded away, large ones are not.",
        recipe(
            network,
            optimizer=sgd(0.05),
            trainer=lambda: {"precision": "bf16-true"},
        ),
        steps=200,
    ),
    healthy(
        "float64-true",
        "precision",
        "Sixteen digits.",
        fit(trainer=lambda: {"precision": "64-true"}),
    ),
)
