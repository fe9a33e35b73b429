"""Which units have let nothing through for how many measured steps: what a batch says by chance, eight do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

# How many measured steps are looked back, over how many units of how many layers.
_WINDOW = 8
_UNITS = 4096
_LAYERS = 64
_DIGITS = "0123456789abcdef"


class Silence:
    """For every unit the number of measured steps in a row on which it was dead, this one included.

    Each rank remembers its own batches.  The counts stay on their device between steps.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Tensor] = {}  # layer and operation -> a number of at most 8 for each unit
        self._windows: dict[str, int] = {}
        self._new: dict[str, tuple[Tensor, int]] = {}

    def take(self, key: str, dead: Tensor) -> tuple[Tensor, int] | None:
        """Share of units dead on this and on all measured steps looked back to, and how many those are.

        None where nobody remembers so many layers.

        Args:
            key: tells layer and operation.
            dead: for each unit whether it is dead on this step.
        """
        if key in self._new or (key not in self._counts and len({*self._counts, *self._new}) >= _LAYERS):
            return None
        dead = dead[:: -(-len(dead) // _UNITS)]
        old, window = self._counts.get(key), self._windows.get(key, 0)
        if old is None or old.shape != dead.shape:  # another network now
            old, window = torch.zeros_like(dead, dtype=torch.uint8), 0
        counts, window = (old.to(dead.device) + 1).clamp_(max=_WINDOW) * dead, min(window + 1, _WINDOW)
        self._new[key] = counts, window
        return (counts >= window).float().mean(), window

    def commit(self) -> None:
        """The step was one."""
        self._counts.update({key: counts for key, (counts, _) in self._new.items()})
        self._windows.update({key: window for key, (_, window) in self._new.items()})
        self._new = {}

    def forget(self) -> None:
        """The step at hand was none."""
        self._new = {}

    def state(self) -> dict[str, Any]:
        """JSON data: a digit for each unit."""
        return {
            key: [self._windows[key], "".join(_DIGITS[count] for count in counts.tolist())]
            for key, counts in self._counts.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        counts = {str(k): [min(int(digit, 16), _WINDOW) for digit in row[1]] for k, row in state.items()}
        self._windows = {str(key): min(max(int(row[0]), 0), _WINDOW) for key, row in state.items()}
        self._counts = {key: torch.tensor(row, dtype=torch.uint8) for key, row in counts.items()}
        self._new = {}

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles hold no tensor."""
        return self.state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.restore(state)
