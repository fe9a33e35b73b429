"""Saturation: activations and attention that sit at their flat ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom, known
from lightning_gradwatch.records import Frame, Kind, OperationReading, Quantity, Severity
from lightning_gradwatch.records.history import History

# Mean slope beside the largest possible one.  A tanh that works has 0.4 and more, a sigmoid 0.6; SageMaker Debugger
# calls a unit saturated that never leaves the flat ends.
ENTER = 0.1
LEAVE = 0.2
# Several layers, each of them milder, multiply.
SEVERAL = 3
ENTER_SEVERAL = 0.4
LEAVE_SEVERAL = 0.5
_SATURATING = ("Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh", "LogSigmoid", "Softsign")


class Saturation:
    """Names the layers whose outputs are at the flat ends of their activation."""

    kind: ClassVar[Kind] = Kind.SATURATION
    patience: ClassVar[int] = 4

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame, for all layers together."""
        told = sorted((one for one in frame.operations if _tells(one)), key=_slope)
        if frame.skipped or not told:
            return
        flat = [one for one in told if _slope(one) < LEAVE]
        mild = [one for one in told if _slope(one) < LEAVE_SEVERAL and one.family == "activation"]
        several = len([one for one in mild if _slope(one) < ENTER_SEVERAL]) >= SEVERAL
        worst = told[0]
        began = history.beginning.slopes.get(worst.layer) if history.beginning else None
        yield Symptom(
            id="saturation",
            kind=Kind.SATURATION,
            present=_slope(worst) < ENTER or several,
            lingers=bool(flat) or len(mild) >= SEVERAL,
            severity=Severity.INFO if history.learns else Severity.WARNING,
            summary=f"{worst.operation.lower()} after {worst.layer} has {_slope(worst):.0%} of its largest slope left",
            layers=tuple(dict.fromkeys(one.layer for one in (mild if several else flat) or [worst])),
            evidence=(
                Quantity(name="smallest mean slope", value=_slope(worst), unit="of the largest possible"),
                *known("its slope at the start", began, "of the largest possible"),
                Quantity(name="saturated layers", value=float(len(mild if several else flat)), unit="layers"),
                *known("drop of the loss so far", history.progress, "of its start"),
            ),
        )


def _tells(one: OperationReading) -> bool:
    """Gates are meant to be decided; an output has its loss to answer for it, see the rule about losses."""
    kind = one.family == "attention" or (one.family == "activation" and one.operation in _SATURATING)
    return kind and one.slope is not None and not one.gates


def _slope(one: OperationReading) -> float:
    return 1.0 if one.slope is None else one.slope
