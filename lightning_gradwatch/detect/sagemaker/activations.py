"""DeadRelu and SaturatedActivation of SageMaker Debugger: units that do nothing for a whole batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.sagemaker.symptoms import said
from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# SageMaker's ``threshold_layer`` (50 %): share of a layer's units.
MOST_DEAD = 0.5
MOST_SATURATED = 0.5


class DeadRelu:
    """Rings where more than half of a ReLU's units are dead.

    SageMaker calls a unit dead that is active for less than 1 % of the values (``threshold_inactivity``); a frame knows
    those that are active for none.  On up to 100 values of a unit that is the same, on more it rings later.  Functional
    ReLUs are seen too, which SageMaker's hooks on modules missed.
    """

    kind: ClassVar[Kind] = Kind.DEAD_UNITS
    patience: ClassVar[int] = 1
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(name="threshold_layer", value=MOST_DEAD, unit="of a layer's units", why="SageMaker's default, 50 %"),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame, for all layers together."""
        yield from _symptoms(self, frame, ("Relu",), MOST_DEAD, "dead")


class SaturatedActivation:
    """Rings where more than half of the nodes of a tanh or sigmoid are saturated.

    SageMaker calls a node saturated whose input is outside (-9.4999, 9.4999) for a tanh, (-23, 16.99999) for a sigmoid,
    on more than 99 % of the values.  A frame knows the nodes whose slope was below a thousandth of the largest for
    every value: outside (-4.2, 4.2) for a tanh, (-8.3, 8.3) for a sigmoid.  So this rings earlier, on nodes that pass a
    thousandth of the gradient and not yet a ten-millionth.
    """

    kind: ClassVar[Kind] = Kind.SATURATION
    patience: ClassVar[int] = 1
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="threshold_layer", value=MOST_SATURATED, unit="of a layer's nodes", why="SageMaker's default, 50 %"
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame, for all layers together."""
        yield from _symptoms(self, frame, ("Tanh", "Sigmoid"), MOST_SATURATED, "saturated")


def _symptoms(
    rule: DeadRelu | SaturatedActivation, frame: Frame, operations: tuple[str, ...], most: float, word: str
) -> Iterable[Symptom]:
    shares = [(one.dead, one) for one in frame.operations if one.dead is not None and one.operation in operations]
    if frame.skipped or not shares:
        return
    shares.sort(key=lambda pair: -pair[0])
    ill = [one for share, one in shares if share > most]
    share, worst = shares[0]
    yield said(
        type(rule).__name__,
        rule.kind,
        f"{share:.0%} of the {worst.units} units of {worst.layer} are {word}" if ill else "",
        (one.layer for one in ill),
        Quantity(name=f"{word} units", value=share, unit="of the layer"),
        Quantity(name=f"layers with too many {word} units", value=float(len(ill)), unit="layers"),
    )
