"""What users read of a watch, and may ask of it, whoever trains."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch.callbacks.settings import Settings
from lightning_gradwatch.callbacks.watch import Watch
from lightning_gradwatch.report.report import Report


class Readable:
    """The face of a ``Watch``: ``GradWatch`` and ``LoopWatch`` have it in common."""

    _watch: Watch

    @property
    def report(self) -> Report:
        """What was found, done and measured so far; at any time, also before and after a fit."""
        return self._watch.report

    @property
    def settings(self) -> Settings:
        """The arguments that it was made with."""
        return self._watch.settings

    @property
    def is_off(self) -> bool:
        """Whether an error of the watch itself has switched it off; the report's notes say which."""
        return self._watch.is_off

    def plot(self, ax: Any = None) -> tuple[Any, Any]:
        """Gradient flow over depth and time, the sick stretch marked: ``fig, ax``, as torchmetrics plots.

        Raises:
            MissingExtra: matplotlib is not installed.
        """
        return self.report.plot(ax)

    def undo(self) -> None:
        """Take back every decay of the learning rates, exactly, from the next step on; the report keeps it as an event.

        Call it on every rank.  A further decay waits for ``cooldown_steps`` again.
        """
        self._watch.undo()
