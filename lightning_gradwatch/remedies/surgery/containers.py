"""Copies of what containers hold, and the way back into the same containers."""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from torch import Tensor


def inside(value: Any) -> Any:
    """What a plain container holds; None for everything else."""
    return value.copy() if type(value) in (list, dict, set) else None


def same(value: Any, held: Any) -> bool:
    """Whether a container holds the very objects that it held."""
    if isinstance(value, dict) and held is not None:
        return value.keys() == held.keys() and all(value[key] is held[key] for key in held)
    if isinstance(value, list) and held is not None:
        return len(value) == len(held) and all(map(operator.is_, value, held))
    return held is None or value == held


def refilled(value: Any, held: Any) -> Any:
    """The same container with what it held."""
    if isinstance(value, list):
        value[:] = held if held is not None else value
    elif held is not None:
        value.clear()
        value.update(held)
    return value


def once(tensor: Tensor, like: Tensor | None = None) -> Tensor:
    """Each place in memory once: where the tensor (or the one that it is like) is expanded, only the first of many.

    Example:
        >>> once(torch.zeros(1, 3).expand(4, 3)).shape
        torch.Size([1, 3])
    """
    laid = tensor if like is None else like
    if laid.layout is not torch.strided:
        return tensor
    for axis, (step, size) in enumerate(zip(laid.stride(), laid.shape, strict=True)):
        if step == 0 and size > 1:
            tensor = tensor.narrow(axis, 0, 1)
    return tensor


def copied(value: Any) -> Any:
    """A copy of settings and state: tensors cloned, containers anew, everything else as it is."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(copied(item) for item in value)
    return copy.copy(value) if isinstance(value, dict) else value
