"""LossNotDecreasing of SageMaker Debugger: the loss beside the one ten steps before."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.sagemaker.symptoms import said
from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# SageMaker's ``num_steps``, ``diff_percent`` and ``increase_threshold_percent``.
STEPS = 10
FALL = 0.1
RISE = 5.0


class LossNotDecreasing:
    """Rings where the loss fell by less than 0.1 %, or rose by more than 5 %, against the loss 10 steps before.

    Asked on every measured step; SageMaker asks every 10 saved ones.  It rings on almost any fit whose loss is noisy or
    has arrived, as SageMaker's does: ``ignore={"LossNotDecreasing": "..."}`` silences it.
    """

    kind: ClassVar[Kind] = Kind.STALLED
    patience: ClassVar[int] = 1
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(name="num_steps", value=STEPS, unit="steps", why="SageMaker's default"),
        Threshold(name="diff_percent", value=FALL, unit="%", why="default of smdebug-rulesconfig 1.0.1"),
        Threshold(name="increase_threshold_percent", value=RISE, unit="%", why="default of smdebug-rulesconfig 1.0.1"),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame that has a loss and one to compare it with."""
        earlier = [m for m in history.moments if m.step <= frame.step - STEPS and math.isfinite(m.loss)]
        if frame.skipped or frame.loss is None or not math.isfinite(frame.loss) or not earlier or not earlier[-1].loss:
            return
        before = earlier[-1]
        fall = 100 * (before.loss - frame.loss) / abs(before.loss)
        since = f"since step {before.step}"
        text = f"the loss has fallen by {fall:.2g} % {since}" if 0 <= fall < FALL else ""
        text = f"the loss has risen by {-fall:.2g} % {since}" if fall < -RISE else text
        yield said("LossNotDecreasing", Kind.STALLED, text, (), Quantity(name="fall of the loss", value=fall, unit="%"))
