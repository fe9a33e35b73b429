"""WeightUpdateRatio of SageMaker Debugger: updates beside the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.sagemaker.symptoms import said
from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, Quantity
from lightning_gradwatch.records.formats import is_used
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import layers_of
from lightning_gradwatch.records.threshold import Threshold

# SageMaker's ``large_threshold`` and ``small_threshold``.
LARGE = 10.0
SMALL = 1e-8


class WeightUpdateRatio:
    """Rings where the step of a weight is above 10 times the weight, or below 1e-8 of it.

    The ratio is that of L2 norms over one step, ||dw|| / ||w||, which a frame holds; SageMaker's is of absolute values,
    with an epsilon of 1e-9 that keeps it finite for weights of zero.  Both agree within a factor of two for anything
    but sparse updates.  Steps on which the rates are 0 or which a scaler skipped are not asked.
    """

    kind: ClassVar[Kind] = Kind.STALLED
    patience: ClassVar[int] = 1
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(name="large_threshold", value=LARGE, unit="||dw|| / ||w||", why="SageMaker's default"),
        Threshold(name="small_threshold", value=SMALL, unit="||dw|| / ||w||", why="SageMaker's default"),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """Two symptoms a frame: steps that are too large are exploding, too small ones stalled."""
        known = sorted((r.update, r.name) for r in frame.parameters if r.update is not None and r.fan > 1)
        if not known or not is_used(frame):
            return
        large = [(ratio, name) for ratio, name in reversed(known) if ratio > LARGE]
        small = [(ratio, name) for ratio, name in known if ratio < SMALL]
        yield _symptom(Kind.EXPLODING, "large", large, known[-1][0])
        yield _symptom(Kind.STALLED, "small", small, known[0][0])


def _symptom(kind: Kind, clause: str, found: list[tuple[float, str]], ratio: float) -> Symptom:
    text = f"{found[0][1]} was changed by {found[0][0]:.1e} of itself in one step" if found else ""
    return said(
        "WeightUpdateRatio",
        kind,
        text,
        layers_of(name for _, name in found),
        Quantity(name="update beside the weight", value=ratio, unit="ratio"),
        Quantity(name="parameters beyond the threshold", value=float(len(found)), unit="parameters"),
        clause=clause,
    )
