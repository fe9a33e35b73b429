"""PoorWeightInitialization of SageMaker Debugger: the first ten steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.sagemaker.symptoms import said
from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, ParameterReading, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import module_of
from lightning_gradwatch.records.threshold import Threshold

# SageMaker's ``steps``, ``threshold``, ``distribution_range`` and ``patience``.
STEPS = 10
RATIO = 10.0
RANGE = 1e-3
PATIENCE = 5
# The 5th and the 95th percentile of numbers with a root mean square of 1 are no further apart than this: a twentieth of
# them lies beyond each, so that (a^2 + b^2) / 20 <= 1, and a + b is largest where both are the root of 10.
_WIDEST = 2 * math.sqrt(10)

_Clause = tuple[str, list[str], list[Quantity]]  # what it saw, in which layers, by which numbers


class PoorWeightInitialization:
    """Rings in the first 10 steps: weights of unlike variance, gradients in too narrow a band, or a loss that stands.

    The variance is that of a layer's weights about zero, as SageMaker's table of parameters has it (its introduction
    speaks of the inputs of activations, which a frame does not hold).  The band between the 5th and the 95th percentile
    of a gradient is bounded from above by 6.3 times its root mean square: the rule never rings where SageMaker's
    would not.  What it found stays open: nobody asks again after the 10th step.
    """

    kind: ClassVar[Kind] = Kind.VANISHING
    patience: ClassVar[int] = 1
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(name="steps", value=STEPS, unit="steps", why="SageMaker's default: asked in the first steps only"),
        Threshold(name="threshold", value=RATIO, unit="largest beside smallest variance", why="SageMaker's default"),
        Threshold(
            name="distribution_range", value=RANGE, unit="5th to 95th percentile", why="SageMaker's default: narrower"
        ),
        Threshold(name="patience", value=PATIENCE, unit="steps", why="SageMaker's default: the loss has not fallen"),
        Threshold(
            name="widest band", value=_WIDEST, unit="root mean squares", why="bounds the percentiles of any numbers"
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame among the first steps; the first of the three clauses that holds is told."""
        weights = [r for r in frame.parameters if r.fan > 1]
        if frame.step >= STEPS or frame.skipped or not weights:
            return
        nothing: _Clause = ("", [], [])
        text, layers, evidence = _unlike(weights) or _narrow(weights) or _stands(history) or nothing
        yield said("PoorWeightInitialization", Kind.VANISHING, text, layers, *evidence)


def _unlike(weights: list[ParameterReading]) -> _Clause | None:
    sizes = sorted((r.weight**2, r.name) for r in weights if r.weight)
    if len(sizes) < 2 or sizes[-1][0] <= RATIO * sizes[0][0]:
        return None
    (least, name), (most, other) = sizes[0], sizes[-1]
    text = f"the variance of {other} is {most / least:.3g} times that of {name}"
    return text, [module_of(name), module_of(other)], [Quantity(name="ratio of variances", value=most / least)]


def _narrow(weights: list[ParameterReading]) -> _Clause | None:
    bands = sorted((_WIDEST * r.rms, r.name) for r in weights if r.rms is not None and math.isfinite(r.rms))
    narrow = [name for band, name in bands if band < RANGE]
    if not narrow:
        return None
    text = f"the gradient of {narrow[0]} lies within a band of {bands[0][0]:.1e}"
    return text, [module_of(name) for name in narrow], [Quantity(name="width of the band, at most", value=bands[0][0])]


def _stands(history: History) -> _Clause | None:
    """Whether none of the last ``PATIENCE`` losses is below the one before them."""
    losses = history.losses
    if len(losses) <= PATIENCE or min(losses[-PATIENCE:]) < losses[-PATIENCE - 1]:
        return None
    change = Quantity(name="loss now", value=losses[-1])
    return f"the loss has not fallen for {PATIENCE} steps", [], [change]
