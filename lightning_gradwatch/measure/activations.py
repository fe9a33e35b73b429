"""How much slope an activation has left, read from what its autograd node saved anyway."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.anatomy.sharding import local

# Mean slopes need no more elements than this (they are then within about half a percent); a larger activation is read
# with a stride.
_ENOUGH = 1 << 15
# To say that a unit is dead takes more: a unit that lives on one sample in a hundred is no rare thing.
_MANY = 1 << 18
_DEAD = 1e-3  # of the largest slope
# With a smaller batch, "zero for the whole batch" happens by chance to living units.
BATCH = 8


def saved(node: Any, attribute: str) -> Tensor | None:
    """A tensor that the node saved, where reading it is free; None where it is not.

    Reading a tensor that saved-tensor hooks packed (activation checkpointing, offloading) would run the forward pass
    again or copy it back, and reading after the backward raises.  Nested tensors lack most operations.
    """
    raw = getattr(node, "_raw_saved_" + attribute, None)
    if raw is None or getattr(raw, "unpack_hook", raw) is not None:
        return None
    try:
        value = getattr(node, "_saved_" + attribute)
    except RuntimeError:  # freed, or changed in place since
        return None
    if not isinstance(value, Tensor) or value.is_nested:
        return None
    here = local(value)
    return here if is_there(here) else None


def is_there(tensor: Tensor) -> bool:
    """Whether a tensor's memory is there to be read: FSDP takes that of whole parameters away between uses."""
    return tensor.layout != torch.strided or tensor.numel() == 0 or tensor.untyped_storage().nbytes() > 0


def slope_ratio(name: str, node: Any) -> Tensor | None:
    """Mean |slope| over the largest |slope| that this activation can have, a 0-d tensor; None where unknown.

    1 is wide open, 0 is saturated.  sigmoid' = y (1 - y) <= 1/4, tanh' = 1 - y^2 <= 1.

    Args:
        name: the operation's name, e.g. "Sigmoid".
        node: its autograd node, before the backward pass frees it.
    """
    entry = _SLOPES.get(name)
    if entry is None:
        return None
    attribute, slope, largest = entry
    value = saved(node, attribute)
    if value is None or value.numel() == 0 or value.is_complex():
        return None
    return slope(thinned(value), node).mean(dtype=torch.float32) / largest


def dead_share(name: str, node: Any) -> Tensor | None:
    """Share of a ReLU's units that are zero for every sample of the batch, a 0-d tensor; None where unknown.

    A unit is a position behind the batch dimension.  Batches below 8 samples say nothing.
    """
    if name != "Relu":
        return None
    value = saved(node, "result")
    if value is None or value.dim() < 2 or value.shape[0] < BATCH or value.numel() == 0:
        return None
    return (value.amax(0) == 0).float().mean()


def counts_same_units(name: str, node: Any) -> bool:
    """Whether ``dead_share`` is the share of the units that ``dead_units`` marks, told by the same values."""
    value = saved(node, "result") if name == "Relu" else None
    return value is not None and value.dim() == 2 and value.shape[0] >= BATCH and 0 < value.numel() <= _MANY


def dead_units(name: str, node: Any, channels: bool) -> tuple[Tensor, int] | None:
    """For each unit whether its slope was below a thousandth of the largest for every value; None where unknown.

    Args:
        name: the operation's name.
        node: its autograd node, before the backward pass frees it.
        channels: a unit is a channel, dimension 1; else the last dimension counts the units.

    Returns:
        A mask, and how many values there were of each unit.
    """
    entry = _SLOPES.get(name)
    value = None if entry is None else saved(node, entry[0])
    if entry is None or value is None or value.dim() < 2 or value.numel() == 0 or value.is_complex():
        return None
    _, slope, largest = entry
    by_unit = value.flatten(2) if channels and value.dim() > 2 else value.reshape(-1, value.shape[-1])
    few = _few_rows(by_unit)
    if name == "Relu":  # what passes is what is above 0: no need to look at each value's slope
        best = few.amax(0) if few.dim() == 2 else few.amax((0, 2))
        return best <= 0, value.numel() // by_unit.shape[1]
    open_ = slope(few.float(), node)
    best = open_.amax(0) if few.dim() == 2 else open_.amax((0, 2))
    return best < _DEAD * largest, value.numel() // by_unit.shape[1]


def _few_rows(values: Tensor) -> Tensor:
    """At most about ``_MANY`` of the values of (rows, units) or (samples, units, positions), as many for every unit."""
    over = math.ceil(values.numel() / _MANY)
    if over == 1:
        return values
    if values.dim() == 2:
        return values[:: min(over, max(1, len(values) // BATCH))]
    return values[:, :, :: min(over, values.shape[2])]


def thinned(value: Tensor) -> Tensor:
    """At most about ``_ENOUGH`` of its elements, evenly spread, in float32."""
    stride = math.ceil(value.numel() / _ENOUGH)
    return (value.flatten()[::stride] if stride > 1 else value).float()


def _elu(x: Tensor, node: Any) -> Tensor:
    alpha, scale, inner = (float(getattr(node, f"_saved_{k}", 1.0)) for k in ("alpha", "scale", "input_scale"))
    return torch.where(x > 0, scale * torch.ones_like(x), scale * alpha * inner * (inner * x.clamp(max=0)).exp())


def _gelu(x: Tensor, node: Any) -> Tensor:
    return (0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)).abs()


def _silu(x: Tensor, node: Any) -> Tensor:
    s = torch.sigmoid(x)
    return (s * (1 + x * (1 - s))).abs()


def _inside(x: Tensor, node: Any) -> Tensor:
    low, high = getattr(node, "_saved_min_val", -1.0), getattr(node, "_saved_max_val", 1.0)
    return ((x > float(low)) & (x < float(high))).float()


def _celu(x: Tensor, node: Any) -> Tensor:
    return (x.clamp(max=0) / float(getattr(node, "_saved_alpha", 1.0))).exp()


def _mish(x: Tensor, node: Any) -> Tensor:
    t = torch.tanh(torch.nn.functional.softplus(x))
    return (t + x * torch.sigmoid(x) * (1 - t * t)).abs()


def _hardswish(x: Tensor, node: Any) -> Tensor:
    return torch.where(x < -3, 0.0, torch.where(x > 3, 1.0, (2 * x + 3).abs() / 6))


def _leaky(x: Tensor, node: Any) -> Tensor:
    return torch.where(x > 0, 1.0, float(getattr(node, "_saved_negative_slope", 0.01)))


# operation -> (what its node saves, |slope| from that, largest slope)
_SLOPES: dict[str, tuple[str, Callable[[Tensor, Any], Tensor], float]] = {
    "Sigmoid": ("result", lambda y, _: y * (1 - y), 0.25),
    "Tanh": ("result", lambda y, _: 1 - y * y, 1.0),
    "Relu": ("result", lambda y, _: y > 0, 1.0),
    "Hardtanh": ("self", _inside, 1.0),
    "LeakyRelu": ("self", _leaky, 1.0),
    "Threshold": ("self", lambda x, node: (x > float(getattr(node, "_saved_threshold", 0.0))).float(), 1.0),
    "Celu": ("self", _celu, 1.0),
    "Mish": ("self", _mish, 1.0885),
    "Hardswish": ("self", _hardswish, 1.5),
    "Elu": ("self", _elu, 1.0),
    "Gelu": ("self", _gelu, 1.129),
    "Silu": ("self", _silu, 1.0999),
    "Softplus": ("self", lambda x, node: torch.sigmoid(x * float(getattr(node, "_saved_beta", 1.0))), 1.0),
    "Hardsigmoid": ("self", lambda x, _: ((x > -3) & (x < 3)).float() / 6, 1 / 6),
    "LogSigmoid": ("self", lambda x, _: torch.sigmoid(-x), 1.0),
}

KNOWN = frozenset(_SLOPES)
