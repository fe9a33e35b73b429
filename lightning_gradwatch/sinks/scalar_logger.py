"""The curves, for any Lightning logger: CSV, Weights & Biases, MLflow and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch.records import Event, Finding, Frame
from lightning_gradwatch.sinks.scalars import scalars

if TYPE_CHECKING:
    import numpy as np


class ScalarLoggerSink:
    """Hands the values of ``SCALARS`` to a logger's ``log_metrics``.

    Always the same keys, from the first record on: CSVLogger rewrites its whole file when a key comes late.

    Args:
        logger: anything with ``log_metrics(metrics, step)``.
    """

    takes_pictures: ClassVar[bool] = False

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    @property
    def name(self) -> str:
        """What the user calls it."""
        return type(self.logger).__name__

    def write(self, frame: Frame, findings: Sequence[Finding]) -> None:
        """Log the curves."""
        self.logger.log_metrics(scalars(frame, findings), step=frame.step)

    def announce(self, step: int, findings: Sequence[Finding], events: Sequence[Event], notes: Sequence[str]) -> None:
        """Nothing: loggers have no common way to take words."""

    def picture(self, step: int, image: np.ndarray) -> None:
        """Nothing: loggers have no common way to take pictures."""

    def close(self) -> None:
        """Nothing: the logger is the user's."""
