"""VanishingGradient and ExplodingTensor of SageMaker Debugger: the size of each parameter's gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.sagemaker.symptoms import said
from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, ParameterReading, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import layers_of
from lightning_gradwatch.records.threshold import Threshold

# SageMaker's ``threshold``: mean absolute value of a gradient.
VANISHED = 1e-7


class VanishingGradient:
    """Rings where the mean absolute value of any parameter's gradient is below 1e-7, whatever the loss is scaled by.

    A frame holds no mean of absolute values, but two numbers that bound it from above: root mean square times the
    root of the share of elements that are not zero (Cauchy & Schwarz).  The rule rings where that bound is below the
    threshold: never where SageMaker's would not, and for normally distributed gradients from 0.8e-7 down.
    """

    kind: ClassVar[Kind] = Kind.VANISHING
    patience: ClassVar[int] = 1
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="threshold", value=VANISHED, unit="mean absolute gradient", why="SageMaker's default of `threshold`"
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame, for all parameters together."""
        known = sorted((m, r.name) for r in frame.parameters if (m := most_mean(r)) is not None)
        if frame.skipped or not known:
            return
        small = [name for mean, name in known if mean < VANISHED]
        mean, name = known[0]
        text = f"the gradient of {name} has a mean absolute value of at most {mean:.1e}" if small else ""
        yield said(
            "VanishingGradient",
            Kind.VANISHING,
            text,
            layers_of(small),
            Quantity(name="mean absolute gradient, at most", value=mean),
            Quantity(name="parameters below the threshold", value=float(len(small)), unit="parameters"),
        )


def most_mean(reading: ParameterReading) -> float | None:
    """The largest mean absolute value that a gradient with these statistics can have; None: no finite gradient.

    Args:
        reading: the parameter's gradient.

    Example:
        >>> most_mean(ParameterReading(name="a", size=4, optimizer=0, norm=2.0, rms=1.0, max=2.0, zeros=0.75))
        0.5
    """
    if reading.rms is None or not math.isfinite(reading.rms):
        return None
    return reading.rms * math.sqrt(1.0 - (reading.zeros or 0.0))


class ExplodingTensor:
    """Rings where an element of a gradient, or the loss, is inf or nan.

    SageMaker's looks at every tensor that was saved; gradients and the loss are what a frame holds of them.  A step
    that an AMP scaler skipped is not asked: its infinities are how the scaler finds its scale.
    """

    kind: ClassVar[Kind] = Kind.NONFINITE
    patience: ClassVar[int] = 1
    thresholds: ClassVar[tuple[Threshold, ...]] = ()

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame, for all parameters together."""
        if frame.skipped:
            return
        broken = [r for r in frame.parameters if r.nonfinite or (r.norm is not None and not math.isfinite(r.norm))]
        elements = float(sum(r.nonfinite for r in broken))
        wild = frame.loss is not None and not math.isfinite(frame.loss)
        where = f"the gradient of {broken[0].name}" if broken else "the loss"
        yield said(
            "ExplodingTensor",
            Kind.NONFINITE,
            f"{where} is not finite" if broken or wild else "",
            layers_of(r.name for r in broken),
            Quantity(name="non-finite elements", value=elements, unit="elements"),
        )
