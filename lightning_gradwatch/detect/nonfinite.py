"""Non-finite gradients: inf or nan that the AMP scaler did not catch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, Quantity, Severity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import layers_of
from lightning_gradwatch.records.threshold import Threshold


class NonFinite:
    """Names the first module in the order of the backward pass whose gradient is inf or nan."""

    kind: ClassVar[Kind] = Kind.NONFINITE
    patience: ClassVar[int] = 1  # one such step may spoil all weights
    thresholds: ClassVar[tuple[Threshold, ...]] = ()  # one number that is not finite is enough

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame; none for a step that the scaler skipped, as its first steps are by design."""
        if frame.skipped or not frame.parameters:
            return
        broken = [r for r in frame.parameters if r.nonfinite or (r.norm is not None and not math.isfinite(r.norm))]
        elements = sum(r.nonfinite for r in broken)
        modules = layers_of(r.name for r in broken)
        fault = frame.fault.layer if frame.fault else ""
        first = fault or _first_broken(frame)
        leads = [first] if first and (first in modules or fault) else []
        layers = tuple(dict.fromkeys([*leads, *modules]))
        yield Symptom(
            id="nonfinite",
            kind=Kind.NONFINITE,
            present=bool(broken),
            lingers=bool(broken),
            severity=Severity.CRITICAL,
            summary=_summary(frame, layers, elements),
            layers=layers,
            evidence=(
                Quantity(name="non-finite elements", value=float(elements), unit="elements"),
                Quantity(name="step", value=float(frame.step), unit="steps"),
                Quantity(name="batch index", value=float(frame.batch), unit="batches"),
                *([] if frame.loss is None else [Quantity(name="loss", value=frame.loss)]),
            ),
            keeps=True,
        )


def _summary(frame: Frame, layers: tuple[str, ...], elements: int) -> str:
    if not layers:
        return "all gradients are finite"
    when = f"step {frame.step} (batch {frame.batch})"
    return f"{elements} elements of the gradient are inf or nan at {when}, first in {layers[0]}"


def _first_broken(frame: Frame) -> str | None:
    """The first layer, seen from the loss, whose output's gradient is not finite: where the trouble enters."""
    for ledger in frame.ledgers:
        level = ledger.start
        for segment in ledger.segments:
            level += segment.decades
            if math.isnan(level) or level == math.inf:
                return segment.layer
    return None
