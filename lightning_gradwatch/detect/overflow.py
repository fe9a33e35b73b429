"""Steps that the AMP scaler keeps skipping: the search for a loss scale that no scale ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, Quantity, Severity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import layers_of
from lightning_gradwatch.records.threshold import Threshold

# Halved on every skipped step, a scale of 2^100 is down at 1 after so many: more than anybody starts from.
PERSISTENT = 100
# Below a scale of 1 the scaler makes gradients smaller than they are: half precision is not what overflows.
COLLAPSED = 1.0


class Overflow:
    """Tells a scaler that finds its scale, which is normal, from gradients that are not finite at any scale."""

    kind: ClassVar[Kind] = Kind.NONFINITE
    patience: ClassVar[int] = 1  # its own patience is counted in steps, below
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="persistent",
            value=PERSISTENT,
            unit="skipped steps",
            why="a scale of 2^100, halved on each, is down at 1",
        ),
        Threshold(
            name="collapsed",
            value=COLLAPSED,
            unit="loss scale",
            why="below 1 the scaler makes gradients smaller than they are",
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame of a fit with a scaler; none of one without."""
        since = history.skipping_since
        if frame.loss_scale == 1.0 and since is None and not frame.skipped_steps:
            return
        steps = 0 if since is None else frame.step - since + 1
        hopeless = frame.skipped and (steps >= PERSISTENT or frame.loss_scale < COLLAPSED)
        yield Symptom(
            id="overflow",
            kind=Kind.NONFINITE,
            present=hopeless,
            lingers=frame.skipped,
            severity=Severity.CRITICAL,
            summary=(
                f"the AMP scaler skips every step since step {since if since is not None else frame.step}: "
                f"gradients are inf or nan even at a loss scale of {frame.loss_scale:g}"
            ),
            layers=_broken(frame),
            evidence=(
                Quantity(name="steps skipped in a row", value=float(steps), unit="steps"),
                Quantity(name="steps skipped so far", value=float(frame.skipped_steps), unit="steps"),
                Quantity(name="loss scale", value=frame.loss_scale),
            ),
        )


def _broken(frame: Frame) -> tuple[str, ...]:
    return layers_of(reading.name for reading in frame.parameters if reading.nonfinite)
