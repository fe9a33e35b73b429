"""Twins of sick_nonfinite.py: the same with the operation guarded.  The sickness is in the user's code or data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot
from twin import Twin
from zoo._networks import adam, he, mlp, on_digits, sgd
from zoo.sick_nonfinite import Inside

TINY = 1e-6


def _bug(sentence: str, network: Callable[[], nn.Module], **learner: Any) -> Twin:
    return Twin(build=on_digits(network, **learner), bug=sentence)


def _inside(sentence: str, function: Callable[[torch.Tensor], torch.Tensor]) -> Twin:
    return _bug(sentence, lambda: Inside(function), optimizer=adam(lr=1e-3))


def _distances(x: torch.Tensor) -> torch.Tensor:
    return x + ((x[:, None] - x[None]).square().sum(-1) + TINY).sqrt().mean(1, keepdim=True)


def _spread(x: torch.Tensor) -> torch.Tensor:
    twice = x[:, ::2].repeat_interleave(2, 1).unflatten(1, (16, 2))
    return x - ((twice - twice.mean(-1, keepdim=True)).square().mean(-1) + TINY).sqrt().repeat(1, 2)


def _shares(x: torch.Tensor) -> torch.Tensor:
    parts = x.unflatten(1, (16, 2))
    return (parts / (parts.sum(-1, keepdim=True) + TINY)).flatten(1)


def _angle(x: torch.Tensor) -> torch.Tensor:
    unit = nn.functional.normalize(x, dim=1)
    return x + torch.acos((unit * unit.flip(0)).sum(1, keepdim=True).clamp(-0.999, 0.999))


def _inverse(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + x.amin(1, keepdim=True))


def _entropy(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return binary_cross_entropy_with_logits(out, one_hot(y, 10).to(out.dtype))


class Standardised(nn.Module):
    """Every pixel divided by its spread and a little more."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.net = nn.Linear(64, 64), he(mlp(2, nn.ReLU))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.scale((x - x.mean(0)) / (x.std(0) + 0.1)))


def _mlp2() -> nn.Module:
    return he(mlp(2, nn.ReLU))


def _mlp3() -> nn.Module:
    return he(mlp(3, nn.ReLU))


BY_HAND = "The loss is written by hand in a form that is not finite for sure answers."
SGD = sgd(lr=0.02)
TWINS = {
    "distance-to-itself": _inside("forward takes the square root of zero.", _distances),
    "spread-of-equal-values": _inside("forward takes the square root of zero.", _spread),
    "share-of-nothing": _inside("forward divides zero by zero.", _shares),
    "arccosine-at-one": _inside("forward takes the arccosine of one.", _angle),
    "one-over-smallest": _inside("forward divides by zero.", _inverse),
    "entropy-by-hand": _bug(BY_HAND, _mlp2, loss=_entropy),
    "log-of-softmax-underflow": _bug(BY_HAND, _mlp2),
    "own-softmax-overflow": _bug(BY_HAND, _mlp2),
    "where-hides-root-of-negative": _bug("The loss takes the square root of negative numbers.", _mlp2),
    "spread-of-empty-pixels": _bug("forward divides zero by zero.", Standardised),
    "log-of-zero-at-120": _bug("The loss takes the logarithm of zero.", _mlp3, optimizer=SGD),
    "nan-in-batch-at-120": _bug("The data holds a nan.", _mlp3, optimizer=SGD),
}
