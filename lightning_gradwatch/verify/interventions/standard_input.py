"""Inputs of mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lightning_gradwatch.verify.interventions.base import Change, Scene, floats
from lightning_gradwatch.verify.objective import TARGETS


def standard_input(scene: Scene) -> Change | None:
    """What the batch holds beside its targets, each tensor standardised as a whole."""
    met: list[int] = []

    def change(batch: Any) -> Any:
        def act(value: Tensor) -> Tensor:
            spread = value.std(correction=0)
            if not bool(spread > 0):
                return value
            met.append(1)
            return (value - value.mean()) / spread

        return _inputs(batch, act)

    return Change(told=lambda: "the input standardised" if met else "", batch=change)


def _inputs(batch: Any, act: Any) -> Any:
    """The batch with its inputs changed; targets as in ``verify.objective``."""
    if isinstance(batch, Mapping):
        key = next((key for key in TARGETS if key in batch), None)
        return {name: item if name == key else floats(item, act) for name, item in batch.items()}
    if type(batch) in (tuple, list) and len(batch) > 1:
        return type(batch)([*(floats(item, act) for item in batch[:-1]), batch[-1]])
    return floats(batch, act)
