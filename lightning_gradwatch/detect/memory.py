"""What one frame cannot tell alone: the loss's progress, and who ever got a gradient."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from lightning_gradwatch.records import Frame

_KEPT = 64


class Memory:
    """A summary of the frames so far, small whatever the length of the fit.

    Example:
        >>> memory = Memory(losses=(2.0, 2.1, 1.9, 1.0, 0.9, 1.1))
        >>> round(memory.progress, 1)
        0.5
    """

    def __init__(
        self, losses: Iterable[float] = (), fed: Iterable[str] = (), skipping_since: int | None = None
    ) -> None:
        self.losses = list(losses)  # of the measured steps, thinned so that they span the whole fit
        self.fed = set(fed)  # parameters that got a gradient other than zero at least once
        self.skipping_since = skipping_since  # first measured step of an unbroken run of steps that the scaler skipped

    def add(self, frame: Frame) -> None:
        """Take one more frame into account."""
        if not frame.skipped:
            self.skipping_since = None
        elif self.skipping_since is None:
            self.skipping_since = frame.step
        self.fed.update(r.name for r in frame.parameters if r.norm)
        if frame.loss is not None and math.isfinite(frame.loss):
            self.losses.append(frame.loss)
        if len(self.losses) > _KEPT:  # forget every other one of the older half
            half = _KEPT // 2
            self.losses[:half] = self.losses[:half:2]

    @property
    def progress(self) -> float | None:
        """Share of its starting level that the loss has lost since; None before there are six losses to compare.

        The level is the median of the first and of the last third, so that one odd batch decides nothing.
        """
        if len(self.losses) < 6:
            return None
        third = len(self.losses) // 3
        start, now = statistics.median(self.losses[:third]), statistics.median(self.losses[-third:])
        return (start - now) / abs(start) if start else None
