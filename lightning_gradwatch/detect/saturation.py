"""Saturation: activations and attention that sit at their flat ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom, known
from lightning_gradwatch.records import Frame, Kind, OperationReading, Quantity, Severity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Mean slope beside the largest possible one.  A tanh that works has 0.4 and more, a sigmoid 0.6; SageMaker Debugger
# calls a unit saturated that never leaves the flat ends.
ENTER = 0.1
LEAVE = 0.2
# Several layers, each of them milder, multiply: decades that their slopes take together, as many as count as vanishing
# along depth.
ENTER_TOGETHER = 4.0
LEAVE_TOGETHER = 3.0
_MILD = 0.5
# The last activation before a loss may be flat where the loss makes up for it (a cross entropy does); a loss that has
# not moved at all says that it does not.
OUTPUT = 0.02
SATURATING = ("Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh", "LogSigmoid", "Softsign")


class Saturation:
    """Names the layers whose outputs are at the flat ends of their activation."""

    kind: ClassVar[Kind] = Kind.SATURATION
    patience: ClassVar[int] = 4
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="opens at",
            value=ENTER,
            unit="of the largest slope",
            why="a tanh that works has 0.4 and more, a sigmoid 0.6: own fits",
        ),
        Threshold(
            name="stays open up to", value=LEAVE, unit="of the largest slope", why="so that an alarm does not flicker"
        ),
        Threshold(
            name="together open at", value=ENTER_TOGETHER, unit="decades", why="as many as vanishing along depth"
        ),
        Threshold(
            name="together stay open down to", value=LEAVE_TOGETHER, unit="decades", why="an alarm does not flicker"
        ),
        Threshold(name="mild", value=_MILD, unit="of the largest slope", why="less counts among several"),
        Threshold(
            name="output", value=OUTPUT, unit="of the largest slope", why="its loss may make up for more, if it moves"
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame, for all layers together."""
        told = sorted((one for one in frame.operations if _tells(one, history)), key=_slope)
        if frame.skipped or not told:
            return
        flat = [one for one in told if _slope(one) < LEAVE]
        mild = [one for one in told if _slope(one) < _MILD and one.family == "activation"]
        together = -math.fsum(math.log10(max(_slope(one), 1e-9)) for one in mild)
        several = len(mild) > len(flat) and together >= LEAVE_TOGETHER
        worst = told[0]
        # What was open and is flat a step later was pushed there, whatever the fit had learned before.
        sudden = any(one.layer in history.flattened for one in told if _slope(one) < ENTER)
        began = history.beginning.slopes.get(worst.layer) if history.beginning else None
        yield Symptom(
            id="saturation",
            kind=Kind.SATURATION,
            present=_slope(worst) < ENTER or together >= ENTER_TOGETHER,
            lingers=bool(flat) or several,
            severity=Severity.INFO if _is_harmless(told, history) and not sudden else Severity.WARNING,
            summary=f"{worst.operation.lower()} after {worst.layer} has {_slope(worst):.0%} of its largest slope left",
            layers=tuple(dict.fromkeys(one.layer for one in (mild if several else flat) or [worst])),
            evidence=(
                Quantity(name="smallest mean slope", value=_slope(worst), unit="of the largest possible"),
                *known("its slope at the start", began, "of the largest possible"),
                Quantity(name="saturated layers", value=float(len(mild if several else flat)), unit="layers"),
                *known("drop of the loss so far", history.progress, "of its start"),
            ),
        )


def _is_harmless(told: list[OperationReading], history: History) -> bool:
    """Some attention may begin decided, and learns all the same: where other is open, the loss has to tell."""
    families = {one.family for one in told if _slope(one) < ENTER}
    some_open = any(one.family == "attention" and _slope(one) >= LEAVE for one in told)
    return history.learns or (families == {"attention"} and some_open and not history.flat)


def _tells(one: OperationReading, history: History) -> bool:
    """Gates are meant to be decided; an output answers to its loss."""
    kind = one.family == "attention" or (one.family == "activation" and one.operation in SATURATING)
    if one.family == "output":
        kind = one.operation in SATURATING and history.flat and _slope(one) < OUTPUT
    return kind and one.slope is not None and not one.gates


def _slope(one: OperationReading) -> float:
    return 1.0 if one.slope is None else one.slope
