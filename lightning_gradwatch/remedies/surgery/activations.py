"""The activations of torch: what they are called, as modules, functions and methods; and how one is made."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lightning_gradwatch.anatomy.sharding import plain_class

_CLASSES: dict[type[nn.Module], str] = {
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Hardtanh: "hardtanh",
    nn.Softsign: "softsign",
    nn.LogSigmoid: "logsigmoid",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.RReLU: "rrelu",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "prelu",
    nn.ELU: "elu",
    nn.CELU: "celu",
    nn.SELU: "selu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Mish: "mish",
    nn.Hardswish: "hardswish",
    nn.Softplus: "softplus",
    nn.Threshold: "threshold",
}
KINDS = frozenset(_CLASSES.values())
# Flat at both ends, or (the last) at one where most of its input may lie.
SATURATING = frozenset({"sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign", "logsigmoid"})
# Their output is a share, or a sign with a size of at most one: what gates multiply with.
BOUNDED = SATURATING - {"logsigmoid"}
# What may stand in for another one: name as users write it -> class.
OFFERED: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def _functions() -> dict[Any, str]:
    found = {}
    for kind in KINDS:
        for home in (torch, F, torch.special):
            for name in (kind, f"{kind}_"):
                if callable(function := getattr(home, name, None)):
                    found[function] = kind
    return {**found, torch.special.expit: "sigmoid"}


_FUNCTIONS = _functions()


def kind_of(module: nn.Module) -> str:
    """The activation that a module is, as ``nn.functional`` calls it; "": it is none of torch's, or a subclass.

    Example:
        >>> kind_of(nn.LeakyReLU()), kind_of(nn.ReLU6()), kind_of(nn.Linear(1, 1)), kind_of(nn.Threshold(0, 0))
        ('leaky_relu', 'relu6', '', 'relu')
    """
    if type(module) is nn.Threshold and module.threshold == 0 and module.value == 0:
        return "relu"
    return _CLASSES.get(plain_class(type(module)), "")


def kind_above(kind: type) -> str:
    """The activation that a class is, or is made from; "": neither."""
    return next((_CLASSES[base] for base in kind.__mro__ if base in _CLASSES), "")


def kind_of_function(function: Any) -> str:
    """The same of a function.

    Example:
        >>> kind_of_function(torch.sigmoid), kind_of_function(F.hardtanh), kind_of_function(torch.exp)
        ('sigmoid', 'hardtanh', '')
    """
    try:
        return _FUNCTIONS.get(function, "")
    except TypeError:  # cannot be a key
        return ""


def slope_of(module: nn.Module | None) -> float:
    """The slope of a leaky activation where its input is negative; torch's own default where it is not known."""
    if isinstance(module, nn.LeakyReLU):
        return float(module.negative_slope)
    if isinstance(module, nn.PReLU) and not isinstance(module.weight, nn.parameter.UninitializedParameter):
        return float(module.weight.detach().float().mean())
    return 0.25 if isinstance(module, nn.PReLU) else 0.01


def made(kind: str, old: nn.Module, like: torch.Tensor | None) -> nn.Module:
    """A new activation for the place of an old one.

    Args:
        kind: one of ``OFFERED``.
        old: the one that goes; the new one works in place if it did.
        like: a tensor of its surroundings, whose device and type a PReLU's slope gets; None: torch's default.
    """
    if kind == "prelu":
        return nn.PReLU() if like is None else nn.PReLU(device=like.device, dtype=like.dtype)
    in_place = bool(getattr(old, "inplace", False)) and kind != "gelu"
    return OFFERED[kind](**({"inplace": True} if in_place else {}))
