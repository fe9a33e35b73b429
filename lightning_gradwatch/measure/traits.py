"""What an optimizer is, as far as it decides whether a small gradient still teaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Traits:
    """The settings of one optimizer.

    Attributes:
        kind: its class.
        eps: the largest one of its groups; None: it has none, or several in one.
        decay: the largest weight decay of its groups.
    """

    kind: str = ""
    eps: float | None = None
    decay: float = 0.0


def traits_of(optimizer: Any) -> Traits:
    """The settings of a torch optimizer.

    Example:
        >>> import torch
        >>> traits_of(torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))]))
        Traits(kind='AdamW', eps=1e-08, decay=0.01)
    """
    groups = getattr(optimizer, "param_groups", [])
    eps = _numbers(groups, "eps")
    return Traits(type(optimizer).__name__, max(eps, default=None), max(_numbers(groups, "weight_decay"), default=0.0))


def _numbers(groups: Any, key: str) -> list[float]:
    return [float(group[key]) for group in groups if isinstance(group.get(key), (int, float))]
