"""Residual sums that keep the size of what they add up."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from lightning_gradwatch.records import Kind
from lightning_gradwatch.verify.interventions.base import Change, Scene, in_backward, some

_SUMS = ("add", "__add__", "__radd__", "__iadd__", "add_")


def scaled_sums(scene: Scene) -> Change | None:
    """Sums of two computed tensors of one shape are divided by the root of 2: equal sizes stay what they are."""
    if scene.finding.kind is not Kind.EXPLODING:
        return None
    mode = _Scaled()
    return Change(told=mode.told, around=mode)


class _Scaled(TorchFunctionMode):
    """While it is entered, sums are scaled."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def told(self) -> str:
        return f"{some(self._count, 'residual sum')} divided by the root of 2" if self._count else ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") not in _SUMS or not _is_residual(args):
            return made
        self._count += not in_backward()
        # The same tensor where the sum was made in place: others may hold it.
        return made.div_(math.sqrt(2)) if made is args[0] else made / math.sqrt(2)


def _is_residual(args: Any) -> bool:
    """Whether both terms are computed, neither is a parameter, and neither has to be repeated to fit the other."""
    if len(args) < 2 or not all(isinstance(one, Tensor) and one.grad_fn is not None for one in args[:2]):
        return False
    return args[0].shape == args[1].shape and args[0].dim() > 1
