"""Operations that make infinities or NaN of finite numbers, or whose derivatives do, told by what their nodes saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.measure.activations import saved

_Test = Callable[[Tensor, Any], Tensor]


@dataclass(frozen=True)
class Singular:
    """One kind of operation.

    Attributes:
        keeps: what its node saves.
        breaks: where that says that the result is not finite.
        steep: where it says that the derivative is not, although the result may be thrown away.
        operand: the value that it could not take.
    """

    keeps: str
    breaks: _Test
    steep: _Test
    operand: Callable[[Tensor], Tensor]


def _exponent(node: Any) -> float:
    exponent = getattr(node, "_saved_exponent", 1.0)
    return float(exponent) if isinstance(exponent, (int, float)) else 1.0


def _zero(value: Tensor) -> Tensor:
    return torch.zeros((), device=value.device)


def _unknown(value: Tensor) -> Tensor:
    return torch.full((), torch.nan, device=value.device)


def _farthest(value: Tensor) -> Tensor:
    flat = value.flatten()
    return flat[flat.abs().argmax()]


_LOG = Singular("self", lambda v, _: v <= 0, lambda v, _: v == 0, torch.min)
_ARC = Singular("self", lambda v, _: v.abs() > 1, lambda v, _: v.abs() == 1, _farthest)
_INVERSE = Singular("result", lambda v, _: ~v.isfinite(), lambda v, _: v.isinf(), _zero)
SINGULAR = {
    "Log": _LOG,
    "Log2": _LOG,
    "Log10": _LOG,
    "Log1P": Singular("self", lambda v, _: v <= -1, lambda v, _: v == -1, torch.min),
    "Sqrt": Singular(
        "result", lambda v, _: v.isnan(), lambda v, _: v == 0, lambda v: torch.where(v.isnan().any(), torch.nan, 0.0)
    ),
    "Rsqrt": _INVERSE,
    "Reciprocal": _INVERSE,
    "Exp": Singular("result", lambda v, _: v.isinf(), lambda v, _: v.isinf(), _unknown),
    "Div": Singular("other", lambda v, _: v == 0, lambda v, _: v == 0, _zero),
    "Pow": Singular(
        "self",
        lambda v, node: ~v.float().pow(_exponent(node)).isfinite(),
        lambda v, node: (v == 0) & (_exponent(node) < 1) & (_exponent(node) != 0),
        torch.min,
    ),
    "Acos": _ARC,
    "Asin": _ARC,
    "Atanh": Singular("self", lambda v, _: v.abs() >= 1, lambda v, _: v.abs() == 1, _farthest),
}


def look(name: str, node: Any) -> Tensor | None:
    """Whether an operation's result, and its derivative, are not finite, and the operand: three numbers on its device.

    None where it is none of these operations, or did not keep what tells.  The operand is NaN where it is not known.

    Args:
        name: the operation's name: "Log".
        node: its autograd node, before the backward pass frees it.

    Example:
        >>> x = torch.tensor([1.0, 0.0], requires_grad=True)
        >>> look("Log", x.log().grad_fn).tolist(), look("Sqrt", x.sqrt().grad_fn).tolist()
        ([1.0, 1.0, 0.0], [0.0, 1.0, 0.0])
    """
    rule = SINGULAR.get(name)
    value = None if rule is None else saved(node, rule.keeps)
    if rule is None or value is None or value.numel() == 0 or not value.is_floating_point():
        return None
    numbers = (rule.breaks(value, node).any(), rule.steep(value, node).any(), rule.operand(value))
    return torch.stack([number.to(torch.float32) for number in numbers])
