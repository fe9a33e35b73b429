"""The update meter: how far a step moved each parameter, ||weights after - weights before|| / ||weights before||."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_gradwatch.anatomy.sharding import local
from lightning_gradwatch.measure.norms import l2_each

# A parameter with more elements is followed on this many of them, evenly spread: a copy of a large model would not fit
# beside it, and the ratio over 2^14 elements is that over all within about one percent.
FOLLOWED = 1 << 14


def remember(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Copies of the weights (of at most ``FOLLOWED`` elements each) before a step."""
    return [_followed(parameter).clone() for parameter in parameters]


def update_ratio(parameter: Tensor, before: Tensor) -> Tensor:
    """``||after - before|| / ||before||`` as a 0-d tensor; 1 for weights that were all zero and are not any more.

    Args:
        parameter: the parameter after the step.
        before: what ``remember`` gave for it before the step.

    Example:
        >>> weight = torch.tensor([3.0, 4.0])
        >>> [before] = remember([weight])
        >>> update_ratio(weight.add_(torch.tensor([0.0, 0.5])), before).item()
        0.1
    """
    moved, old = movement([parameter], [before]).flatten()
    return torch.where(moved > 0, moved / torch.where(old > 0, old, moved), moved)


def movement(parameters: Sequence[Tensor], before: Sequence[Tensor]) -> Tensor:
    """``||after - before||`` of each of them, then ``||before||`` of each: of the parts that this rank holds.

    Args:
        parameters: parameters on one device, after the step.
        before: what ``remember`` gave for them before the step.

    Returns:
        A float64 tensor of shape ``(2, len(parameters))``.
    """
    old = [_wide(values) for values in before]
    now = [_wide(_followed(parameter)) for parameter in parameters]
    foreach_sub = torch._foreach_sub  # pyright: ignore[reportPrivateImportUsage]
    return torch.stack([l2_each(foreach_sub(now, old)), l2_each(before)])


def ratio(moved: float, old: float) -> float:
    """What ``update_ratio`` gives, once the numbers are on the host.

    Example:
        >>> ratio(0.5, 5.0), ratio(0.5, 0.0), ratio(0.0, 0.0)
        (0.1, 1.0, 0.0)
    """
    return moved / (old if old > 0 else moved) if moved > 0 else moved


def _wide(values: Tensor) -> Tensor:
    """In float32 where the format is narrower: a difference of two such numbers may need more digits than it has."""
    return values.float() if values.is_floating_point() and values.element_size() < 4 else values


def is_comparable(parameter: Tensor, before: Tensor) -> bool:
    """Whether a parameter is still what ``remember`` copied: layers may grow, or move, inside a step."""
    now = _followed(parameter)
    return (now.shape, now.device) == (before.shape, before.device)


def _followed(parameter: Tensor) -> Tensor:
    values = local(parameter)
    stride = math.ceil(parameter.numel() / FOLLOWED)  # of the whole, so that no rank's part weighs more than its size
    return values.reshape(-1)[::stride] if stride > 1 else values
