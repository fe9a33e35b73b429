"""What a detector says about one frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from lightning_gradwatch.records import Frame, Kind, Quantity, Severity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold


@dataclass(frozen=True, kw_only=True)
class Symptom:
    """One sign of a sickness on one frame, present or absent."""

    id: str  # the same on every frame: "vanishing:loss"
    kind: Kind
    present: bool  # beyond the threshold at which a finding opens
    lingers: bool  # beyond the milder one at which it stays open: alarms do not flicker
    severity: Severity = Severity.WARNING
    summary: str = ""
    layers: tuple[str, ...] = ()
    evidence: tuple[Quantity, ...] = ()
    keeps: bool = False  # what its first frame showed stands: what comes after it shows only what it has spoiled
    stills: bool = False  # it keeps the weights from moving, so that steps that moved none prove it too
    alone: bool = False  # it stands for itself: nothing follows from it, and it follows from nothing


class Detector(Protocol):
    """Looks at one frame.  Stateless: the judge remembers."""

    kind: ClassVar[Kind]
    patience: ClassVar[int]  # measured steps in a row, on which weights moved, before a finding opens
    thresholds: ClassVar[tuple[Threshold, ...]]  # the numbers that it decides by

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """The symptoms that this frame can tell of; nothing about what it cannot."""
        ...


def known(name: str, value: float | None, unit: str = "") -> tuple[Quantity, ...]:
    """A number as evidence, where there is one.

    Example:
        >>> known("slope", None), len(known("slope", 0.5))
        ((), 1)
    """
    return () if value is None else (Quantity(name=name, value=value, unit=unit),)
