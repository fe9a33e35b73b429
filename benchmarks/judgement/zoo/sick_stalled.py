"""Stalled, and what number formats and normalisation do: updates far below the weights while the loss stands."""

from __future__ import annotations

import functools
from typing import Any

from fit import Fit
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import ExponentialLR
from zoo._networks import adam, adamw, he, mlp, on_digits, sgd
from zoo._sick import sick

STALLED = ("stalled",)
RATE = ("learning_rate",)


def _times(factor: float) -> Any:
    return lambda out, y: factor * cross_entropy(out, y)


def _fit(name: str, why: str, causes: tuple[str, ...], **more: Any) -> Fit:
    learner = more.pop("learner", {})
    kinds, network = more.pop("kinds", STALLED), more.pop("network", lambda: he(mlp(4, nn.ReLU)))
    build = on_digits(network, trainer=more.pop("trainer", None), **learner)
    return sick(name, more.pop("family", "optimizer"), why, kinds, causes, build, **{"layers": ("network",), **more})


FITS: tuple[Fit, ...] = (
    _fit("sgd-rate-1e-9", "A learning rate of 1e-9.", RATE, learner={"optimizer": sgd(lr=1e-9)}),
    _fit("adam-rate-1e-9", "Adam with a rate of 1e-9.", RATE, learner={"optimizer": adam(lr=1e-9)}),
    _fit(
        "adam-epsilon-1e4",
        "Adam's epsilon of 1e4 swallows every gradient.",
        RATE,
        learner={"optimizer": adam(lr=1e-3, eps=1e4)},
    ),
    _fit(
        "sgd-loss-times-1e-12",
        "The loss is multiplied by 1e-12, and plain SGD cannot make up for it.",
        ("loss", "learning_rate"),
        learner={"loss": _times(1e-12), "optimizer": sgd(lr=0.05)},
    ),
    _fit(
        "adam-loss-times-1e-14",
        "The loss is multiplied by 1e-14, far below Adam's epsilon.",
        ("loss", "learning_rate", "precision"),
        learner={"loss": _times(1e-14), "optimizer": adam(lr=1e-3)},
    ),
    _fit(
        "schedule-dies-early",
        "The rate is halved every other step from the start: after 40 steps nothing moves, and little was learnt.",
        RATE,
        learner={"optimizer": sgd(lr=0.003), "scheduler": functools.partial(ExponentialLR, gamma=0.7)},
        onset=40,
        steps=240,
    ),
    _fit(
        "clip-at-1e-8",
        "Gradients are clipped to a length of 1e-8.",
        RATE,
        learner={"optimizer": sgd(lr=0.05)},
        trainer={"gradient_clip_val": 1e-8},
    ),
    _fit(
        "adamw-decay-wins",
        "A weight decay of 30 under AdamW: whatever is learnt is taken away at once.",
        ("learning_rate", "initialization"),
        kinds=("stalled", "vanishing"),
        learner={"optimizer": adamw(lr=3e-3, weight_decay=100.0)},
        onset=5,
        steps=200,
    ),
    _fit(
        "bfloat16-updates-round-away",
        "Weights in bfloat16 and updates of less than half their last digit.",
        ("precision", "learning_rate"),
        family="precision",
        learner={"optimizer": adam(lr=1e-6)},
        trainer={"precision": "bf16-true"},
    ),
    _fit(
        "float16-tiny-loss",
        "Weights in float16 and a loss of 1e-6 of its size: the gradients underflow.",
        ("precision", "loss"),
        family="precision",
        kinds=("vanishing", "stalled", "disconnected"),
        learner={"loss": _times(1e-7), "optimizer": sgd(lr=0.05)},
        trainer={"precision": "16-true"},
    ),
    _fit(
        "float16-loss-overflows",
        "Weights in float16 and a loss of 1e6 times its size: the gradients overflow.",
        ("precision", "loss"),
        family="precision",
        kinds=("nonfinite",),
        learner={"loss": _times(1e6), "optimizer": sgd(lr=1e-7)},
        trainer={"precision": "16-true"},
    ),
    _fit(
        "group-norm-of-one",
        "Every feature is its own group: normalised alone it is always zero, and nothing below gets a gradient.",
        ("normalization",),
        family="normalisation",
        kinds=("disconnected", "vanishing", "dead_units"),
        network=lambda: mlp(3, nn.ReLU, between=functools.partial(nn.GroupNorm, 64)),
        learner={"optimizer": adam(lr=1e-3)},
    ),
    _fit(
        "layer-norm-of-one-output",
        "Layer norm over a single feature: it says its bias, whatever comes in.",
        ("normalization",),
        family="normalisation",
        kinds=("disconnected", "vanishing", "stalled"),
        network=lambda: nn.Sequential(he(mlp(2, nn.ReLU, classes=1)), nn.LayerNorm(1), nn.Linear(1, 10)),
        layers=("network.0",),
        learner={"optimizer": adam(lr=1e-3)},
    ),
)
