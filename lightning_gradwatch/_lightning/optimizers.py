"""Optimizers: torch's own inside Lightning's wrappers."""

from __future__ import annotations

from typing import Any


def unwrapped(optimizer: Any) -> Any:
    """The torch optimizer inside a LightningOptimizer."""
    return getattr(optimizer, "optimizer", optimizer)


def optimizers_of(trainer: Any) -> list[Any]:
    """The torch optimizers of the fit."""
    return [unwrapped(optimizer) for optimizer in trainer.optimizers]


def rename_wrappers(trainer: Any) -> None:
    """Have the wrappers of the optimizers, which imitate the class of theirs, imitate the class that it is now."""
    for wrapper in getattr(trainer.strategy, "_lightning_optimizers", ()):
        kind, imitated = type(unwrapped(wrapper)), type(wrapper)
        if imitated.__name__ != f"Lightning{kind.__name__}":
            wrapper.__class__ = type(f"Lightning{kind.__name__}", (imitated.__bases__[0], kind), {})
