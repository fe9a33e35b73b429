"""Twins of sick_stalled.py: the rate, the loss, the number format or the norm as it should be."""

from __future__ import annotations

import functools

from torch import nn
from twin import Twin
from zoo._networks import adam, adamw, he, mlp, on_digits, sgd

SGD, ADAM = sgd(lr=0.02), adam(lr=1e-3)


def _mlp4(optimizer: object, **trainer: object) -> Twin:
    return Twin(build=on_digits(lambda: he(mlp(4, nn.ReLU)), optimizer=optimizer, trainer=trainer))


TWINS = {
    "sgd-rate-1e-9": _mlp4(SGD),
    "adam-rate-1e-9": _mlp4(ADAM),
    "adam-epsilon-1e4": _mlp4(ADAM),
    "sgd-loss-times-1e-12": _mlp4(sgd(lr=0.05)),
    "adam-loss-times-1e-14": _mlp4(ADAM),
    "schedule-dies-early": _mlp4(SGD),
    "clip-at-1e-8": _mlp4(sgd(lr=0.05), gradient_clip_val=1.0),
    "adamw-decay-wins": _mlp4(adamw(lr=3e-3, weight_decay=0.01)),
    "bfloat16-updates-round-away": _mlp4(ADAM, precision="bf16-mixed"),
    "float16-tiny-loss": _mlp4(sgd(lr=0.05), precision="32-true"),
    "float16-loss-overflows": _mlp4(sgd(lr=0.05), precision="32-true"),
    "group-norm-of-one": Twin(
        build=on_digits(lambda: mlp(3, nn.ReLU, between=functools.partial(nn.GroupNorm, 8)), optimizer=ADAM)
    ),
    "layer-norm-of-one-output": Twin(
        build=on_digits(
            lambda: nn.Sequential(he(mlp(2, nn.ReLU, classes=1)), nn.Linear(1, 10)), optimizer=adam(lr=1e-2)
        )
    ),
}
