"""What an optimizer is, as far as it decides whether a small gradient still teaches."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Traits:
    """The settings of one optimizer.

    Attributes:
        kind: its class.
        eps: the largest one of its groups; None: it has none, or several in one.
        decay: the largest weight decay of its groups.
        strangers: how many parameters it has that belong to no module and get no gradient.
    """

    kind: str = ""
    eps: float | None = None
    decay: float = 0.0
    strangers: int = 0


def traits_of(optimizer: Any, names: Container[int] | None = None) -> Traits:
    """The settings of a torch optimizer.

    Args:
        optimizer: the optimizer.
        names: the ids of the parameters that belong to a module; None: not known.

    Example:
        >>> import torch
        >>> traits_of(torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))]))
        Traits(kind='AdamW', eps=1e-08, decay=0.01, strangers=0)
    """
    groups = getattr(optimizer, "param_groups", [])
    eps = _numbers(groups, "eps")
    decay = max(_numbers(groups, "weight_decay"), default=0.0)
    held = [] if names is None else [p for group in groups for p in group["params"] if p.requires_grad]
    strangers = sum(id(p) not in (names or ()) and p.grad is None for p in held)
    return Traits(type(optimizer).__name__, max(eps, default=None), decay, strangers)


def _numbers(groups: Any, key: str) -> list[float]:
    return [float(group[key]) for group in groups if isinstance(group.get(key), (int, float))]
