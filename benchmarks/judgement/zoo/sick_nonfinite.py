"""Non-finite gradients: the operations that make a nan or an infinity, at once or late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from fit import Fit
from torch import nn
from torch.nn.functional import cross_entropy, nll_loss
from zoo._data import digits
from zoo._networks import Apply, AtBatch, adam, he, mlp, on_digits, sgd
from zoo._sick import sick

NONFINITE = ("nonfinite",)
NUMERICS = ("numerics",)


class Inside(nn.Module):
    """Two layers, a function of what they say, and two layers on top."""

    def __init__(self, function: Callable[..., torch.Tensor], width: int = 32) -> None:
        super().__init__()
        self.below, self.function = nn.Sequential(nn.Linear(64, width), nn.ReLU()), Apply(function)
        self.above = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.above(self.function(self.below(x)))


class Standardised(nn.Module):
    """Divides every pixel by its spread in the batch: pixels that are always empty have none."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.net = nn.Linear(64, 64), he(mlp(2, nn.ReLU))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.scale((x - x.mean(0)) / x.std(0)))


def _log_of_softmax(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nll_loss(torch.log(torch.softmax(out, 1)), y)


def _own_softmax(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    powers = torch.exp(out)
    return nll_loss(torch.log(powers / powers.sum(1, keepdim=True)), y)


def _guarded_log(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return cross_entropy(out, y) + 0.01 * torch.where(out > 0, torch.sqrt(out), torch.zeros_like(out)).mean()


def _by_hand(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    p, wanted = torch.sigmoid(out), nn.functional.one_hot(y, 10)
    return -(wanted * torch.log(p) + (1 - wanted) * torch.log(1 - p)).mean()


def _distances(x: torch.Tensor) -> torch.Tensor:
    """Adds the mean distance to the batch, to oneself included."""
    return x + (x[:, None] - x[None]).square().sum(-1).sqrt().mean(1, keepdim=True)


def _spread(x: torch.Tensor) -> torch.Tensor:
    twice = x[:, ::2].repeat_interleave(2, 1).unflatten(1, (16, 2))
    return x - (twice - twice.mean(-1, keepdim=True)).square().mean(-1).sqrt().repeat(1, 2)


def _shares(x: torch.Tensor) -> torch.Tensor:
    parts = x.unflatten(1, (16, 2))
    return (parts / parts.sum(-1, keepdim=True)).flatten(1)


def _angle(x: torch.Tensor) -> torch.Tensor:
    unit = nn.functional.normalize(x, dim=1)
    return (
        x
        + torch.acos((unit * unit.flip(0)).sum(1, keepdim=True).clamp(-1, 1))
        + torch.acos((unit * unit).sum(1, keepdim=True).clamp(max=1))
    )


def _inverse(x: torch.Tensor) -> torch.Tensor:
    return x * (1 / x.amin(1, keepdim=True).clamp(max=1))


class Late(nn.Module):
    """A loss that meets a logarithm of zero from its 121st call on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        extra = torch.log(torch.relu(out) * (self.calls <= 120) + (self.calls <= 120)).mean()
        return cross_entropy(out, y) + 0.001 * extra


def _spoil(batch: Any) -> None:
    batch[0][3, 5] = float("nan")


def _inside(name: str, why: str, function: Any, **more: Any) -> Fit:
    build = on_digits(lambda: Inside(function), optimizer=adam(lr=1e-3))
    place = {"layers": ("network.function", "network.below"), "steps": 80, **more}
    return sick(name, "numerics", why, NONFINITE, NUMERICS, build, **place)


FITS: tuple[Fit, ...] = (
    _inside(
        "distance-to-itself",
        "The distance of a vector to itself: the square root of zero has an infinite slope.",
        _distances,
    ),
    _inside("spread-of-equal-values", "A standard deviation by hand, of values that are always equal.", _spread),
    _inside("share-of-nothing", "Parts of a sum that is zero: 0 / 0.", _shares),
    _inside(
        "arccosine-at-one", "The angle between a vector and itself: the slope of the arccosine is infinite.", _angle
    ),
    _inside("one-over-smallest", "The inverse of a smallest value that is zero.", _inverse),
    sick(
        "entropy-by-hand",
        "numerics",
        "A binary cross entropy by hand: the sigmoid is exactly 1, and the logarithm of 1 - p is infinite.",
        NONFINITE,
        (*NUMERICS, "loss"),
        on_digits(lambda: nn.Sequential(he(mlp(2, nn.ReLU)), Apply(lambda x: 40 * x)), loss=_by_hand),
        layers=("network.1", "network.0", ""),
        steps=80,
    ),
    sick(
        "log-of-softmax-underflow",
        "numerics",
        "The logarithm of a softmax that underflows to zero.",
        NONFINITE,
        (*NUMERICS, "loss"),
        on_digits(lambda: nn.Sequential(he(mlp(2, nn.ReLU)), Apply(lambda x: 100 * x)), loss=_log_of_softmax),
        layers=("network.1", "network.0", ""),
        steps=80,
    ),
    sick(
        "own-softmax-overflow",
        "numerics",
        "A softmax by hand that does not take off the maximum: exp overflows.",
        NONFINITE,
        (*NUMERICS, "loss"),
        on_digits(lambda: nn.Sequential(he(mlp(2, nn.ReLU)), Apply(lambda x: 60 * x)), loss=_own_softmax),
        layers=("network.1", "network.0", ""),
        steps=80,
    ),
    sick(
        "where-hides-root-of-negative",
        "numerics",
        "torch.where picks the safe value, but the gradient of the root of a negative number comes along: 0 / nan.",
        NONFINITE,
        (*NUMERICS, "loss"),
        on_digits(lambda: he(mlp(2, nn.ReLU)), loss=_guarded_log),
        layers=("network.4", ""),
        steps=80,
    ),
    sick(
        "spread-of-empty-pixels",
        "numerics",
        "Every pixel is divided by its spread in the batch; some pixels are always empty.",
        NONFINITE,
        (*NUMERICS, "data", "normalization"),
        on_digits(Standardised),
        layers=("network.scale",),
        steps=80,
        seeds=(0,),
    ),
    sick(
        "log-of-zero-at-120",
        "numerics",
        "From step 120 on the loss takes the logarithm of zero.",
        NONFINITE,
        (*NUMERICS, "loss"),
        on_digits(lambda: he(mlp(3, nn.ReLU)), loss=Late(), optimizer=sgd(lr=0.02)),
        onset=120,
        steps=200,
        layers=("network.6", "loss", ""),
    ),
    sick(
        "nan-in-batch-at-120",
        "data",
        "One pixel of the batch of step 120 is nan.",
        NONFINITE,
        ("data", "numerics"),
        on_digits(lambda: he(mlp(3, nn.ReLU)), lambda: [AtBatch(120, _spoil)], loader=digits, optimizer=sgd(lr=0.02)),
        onset=120,
        steps=200,
        layers=("network",),
    ),
)
