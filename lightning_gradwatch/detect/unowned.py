"""Parameters that learn nothing although their gradient arrives: no optimizer has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, Quantity, Severity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import layers_of
from lightning_gradwatch.records.threshold import Threshold

# Share of the tensors that get a gradient.  Some that are left out are a choice; most of them are a list that was made
# too early, or of the wrong module; and so are those of an optimizer that keeps old ones instead.
MOST = 0.5


class Unowned:
    """Names the layers whose gradient is computed for nothing."""

    kind: ClassVar[Kind] = Kind.DISCONNECTED
    patience: ClassVar[int] = 3
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(name="most", value=MOST, unit="of the tensors with a gradient", why="fewer may be a choice"),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame."""
        if frame.skipped or not (frame.unowned or frame.parameters):
            return
        owned = sum(bool(r.norm) for r in frame.parameters)
        share = len(frame.unowned) / max(1, len(frame.unowned) + owned)
        strangers = sum(reading.strangers for reading in frame.optimizers)
        old = f"; {strangers} that they have belong to no module" if strangers else ""
        yield Symptom(
            id="unowned",
            kind=Kind.DISCONNECTED,
            present=bool(frame.unowned),
            lingers=bool(frame.unowned),
            severity=Severity.WARNING if share >= MOST or strangers else Severity.INFO,
            summary=f"{len(frame.unowned)} parameters get a gradient, and no optimizer has them{old}",
            layers=layers_of(frame.unowned),
            evidence=(
                Quantity(name="parameters of no optimizer", value=float(len(frame.unowned)), unit="tensors"),
                Quantity(name="share of those with a gradient", value=share, unit="of all tensors"),
                Quantity(name="parameters of the optimizers in no module", value=float(strangers), unit="tensors"),
            ),
            stills=True,
        )
