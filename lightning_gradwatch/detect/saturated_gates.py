"""Gates that cannot move: saturation of fused recurrent layers, reckoned from their weights.

A fused layer (an LSTM on the CPU, anything of cuDNN's) is one operation that shows none of its gates.  What they are
given is about the recurrent weights times a state of at most 1: weights of size s over n units give s sqrt(n).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom, known
from lightning_gradwatch.records import Frame, Kind, ParameterReading, Quantity, Severity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import module_of
from lightning_gradwatch.records.threshold import Threshold

# Torch begins at 0.58; a trained layer has 1 to 3.  A sigmoid that is given 6 has 1 % of its largest slope left.
ENTER = 6.0
LEAVE = 4.0


class SaturatedGates:
    """Names fused recurrent layers whose weights drive every gate to its end."""

    kind: ClassVar[Kind] = Kind.SATURATION
    patience: ClassVar[int] = 4
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="opens at", value=ENTER, unit="weights x root of the width", why="a sigmoid has 1 % of its slope left"
        ),
        Threshold(
            name="stays open down to", value=LEAVE, unit="weights x root of the width", why="trained layers have 1 to 3"
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom for each fused recurrent layer."""
        seen = {one.layer for one in frame.operations if one.family != "gate"}
        for reading in frame.parameters:
            module = module_of(reading.name)
            scale = _scale(reading)
            if scale is None or frame.skipped or any(f"{layer}.".startswith(f"{module}.") for layer in seen):
                continue
            yield Symptom(
                id=f"saturation:{reading.name}",
                kind=Kind.SATURATION,
                present=scale >= ENTER,
                lingers=scale >= LEAVE,
                severity=Severity.INFO if history.learns else Severity.WARNING,
                summary=f"the recurrent weights of {module} drive its gates to their ends: sums of about {scale:.2g}, "
                "where 6 leaves a sigmoid 1 % of its slope",
                layers=(module,),
                evidence=(
                    Quantity(name="recurrent weights times the root of the width", value=scale),
                    *known("drop of the loss so far", history.progress, "of its start"),
                ),
            )


def _scale(reading: ParameterReading) -> float | None:
    if not reading.name.rpartition(".")[2].startswith("weight_hh") or reading.weight is None:
        return None
    return reading.weight * math.sqrt(reading.fan)
