"""Dead units: rectifiers that let nothing through, for any sample of several batches in a row.

A unit that is zero on one batch may be sparse; one that was zero on each of several has died.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom, known
from lightning_gradwatch.records import Frame, Kind, OperationReading, Quantity, Severity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Share of a layer's units.  Amazon SageMaker Debugger's DeadRelu rule rings at one half, too; a tenth and more die in
# many a network that learns well.
ENTER = 0.5
LEAVE = 0.35
# With so few left alive a layer is a bottleneck even where the loss falls; and with so few it is the end of the path.
MOST = 0.7
NEARLY_ALL = 0.9
# Measured steps on each of which a unit was silent.
WINDOW = 3
# Rectifiers and their kin; flat ends of sigmoids are saturation.
_RECTIFIERS = ("Relu", "Hardtanh", "Threshold", "LeakyRelu", "Elu", "Gelu", "Silu", "Softplus", "Celu", "Mish")


class DeadUnits:
    """Names the layers most of whose units have died."""

    kind: ClassVar[Kind] = Kind.DEAD_UNITS
    patience: ClassVar[int] = 1  # the window is its patience
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="opens at",
            value=ENTER,
            unit="of a layer's units",
            why="as SageMaker Debugger's DeadRelu; a tenth dies in many a healthy network",
        ),
        Threshold(
            name="stays open down to", value=LEAVE, unit="of a layer's units", why="so that an alarm does not flicker"
        ),
        Threshold(name="most", value=MOST, unit="of a layer's units", why="a bottleneck even where the loss falls"),
        Threshold(name="nearly all", value=NEARLY_ALL, unit="of a layer's units", why="the end of the path"),
        Threshold(
            name="window", value=WINDOW, unit="measured steps", why="a unit that is zero on one batch may be sparse"
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame, for all layers together: what lies behind a dead layer often dies of it."""
        told = [one for one in frame.operations if _tells(one)]
        if frame.skipped or not told:
            return
        worst = max(told, key=_silent)
        dead = sorted((one for one in told if _silent(one) >= LEAVE), key=_silent, reverse=True)
        share = _silent(worst)
        began = history.beginning.dead.get(worst.layer) if history.beginning else None
        yield Symptom(
            id="dead_units",
            kind=Kind.DEAD_UNITS,
            present=share >= ENTER,
            lingers=share >= LEAVE,
            severity=_severity(share, history),
            summary=f"{share:.0%} of the {worst.units} units of {worst.layer} let nothing through, on {worst.window} "
            "measured steps in a row",
            layers=tuple(dict.fromkeys(one.layer for one in dead)),
            evidence=(
                Quantity(name="dead units", value=share, unit="of the layer"),
                *known("dead units at the start", began, "of the layer"),
                Quantity(name="measured steps in a row", value=float(worst.window), unit="steps"),
                Quantity(name="layers with dead units", value=float(len(dead)), unit="layers"),
                *known("drop of the loss so far", history.progress, "of its start"),
            ),
        )


def _tells(one: OperationReading) -> bool:
    return one.silent is not None and one.window >= WINDOW and not one.gates and one.operation in _RECTIFIERS


def _silent(one: OperationReading) -> float:
    return one.silent or 0.0


def _severity(share: float, history: History) -> Severity:
    """Most of them is bad whatever comes; of half of them the loss has to tell, once it has had its time."""
    if share >= NEARLY_ALL and not history.learns:
        return Severity.CRITICAL
    return Severity.WARNING if share >= MOST or history.stands else Severity.INFO
