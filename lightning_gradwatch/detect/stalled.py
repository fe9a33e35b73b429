"""Stalled: weights that hardly move, beside a loss that stands although there is a gradient to follow."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom, known
from lightning_gradwatch.records import Frame, Kind, Quantity, Severity
from lightning_gradwatch.records.formats import is_used
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import layers_of
from lightning_gradwatch.records.threshold import Threshold

# ||dw||/||w|| of the weight in the middle: after a thousand steps of this size weights have changed by a thousandth.
# The usual advice is 1e-3 a step; peers ring below 1e-5 (torchmortem) or 1e-4 (MindSpore), and at fine-tuning with it.
ENTER = 1e-6
LEAVE = 1e-5
# A loss that has lost a quarter of its start, or a gradient that is half a decade smaller than then: a schedule that
# ends at rate 0 ends a fit, and no weight moves then.
ARRIVED = 0.25
CONVERGED = 0.5
# ||g|| ||w|| / |loss|, the same whatever the loss is multiplied by: what a step along the gradient could change.  Below
# the one the loss is flat, a floor that nothing can lower; above the other it is all but zero, and nothing is left.
LITTLE, NOTHING = 1e-3, 1e4


class Stalled:
    """Tells a fit that does not get anywhere from one that has arrived."""

    kind: ClassVar[Kind] = Kind.STALLED
    patience: ClassVar[int] = 3
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="opens at",
            value=ENTER,
            unit="||dw|| / ||w||",
            why="after a thousand such steps weights have changed by a thousandth",
        ),
        Threshold(
            name="stays open up to",
            value=LEAVE,
            unit="||dw|| / ||w||",
            why="torchmortem rings below 1e-5, MindSpore below 1e-4",
        ),
        Threshold(name="arrived", value=ARRIVED, unit="of the first loss", why="a schedule that ends at rate 0"),
        Threshold(
            name="converged", value=CONVERGED, unit="decades", why="a gradient that has fallen so far has done its work"
        ),
        Threshold(name="little to gain", value=LITTLE, unit="||g|| ||w|| / |loss|", why="a loss that is at its floor"),
        Threshold(name="nothing left", value=NOTHING, unit="||g|| ||w|| / |loss|", why="a loss that is all but zero"),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame on which an optimizer was free to move weights."""
        update, norm = frame.update, frame.norm
        if update is None or not is_used(frame) or not norm:
            return
        # Weights that do not move need no long look at the loss; noise that makes it seem to fall ends no finding.
        stands = (history.progress or 0.0) < ARRIVED and not _has_arrived(history) and _could_gain(frame, norm)
        if not stands:
            yield Symptom(id="stalled", kind=Kind.STALLED, present=False, lingers=False)
            return
        yield Symptom(
            id="stalled",
            kind=Kind.STALLED,
            present=update < ENTER and history.flat_now,
            lingers=update < LEAVE,
            severity=Severity.WARNING,
            summary=f"weights change by {update:.1e} of themselves a step, and the loss stands",
            layers=_stillest(frame),
            evidence=(
                Quantity(name="update beside the weights", value=update, unit="ratio"),
                Quantity(name="learning rate", value=max(frame.rates, default=0.0)),
                *known("drop of the loss so far", history.progress, "of its start"),
            ),
            stills=True,
        )


def _could_gain(frame: Frame, norm: float) -> bool:
    """Whether the loss is neither at its floor nor all but zero; true where nobody knows."""
    weights = math.hypot(*((r.weight or 0.0) * math.sqrt(r.size) for r in frame.parameters))
    if not frame.loss or not weights:
        return True
    return LITTLE <= norm * weights / abs(frame.loss) <= NOTHING


def _has_arrived(history: History) -> bool:
    """Whether the gradient has fallen since the start: there is little left to learn."""
    norms = [moment.norm for moment in history.moments if math.isfinite(moment.norm)]
    third = max(1, len(norms) // 3)
    return bool(norms) and statistics.median(norms[:third]) - statistics.median(norms[-third:]) >= CONVERGED


def _stillest(frame: Frame) -> tuple[str, ...]:
    moved = sorted((r.update, r.name) for r in frame.parameters if r.update is not None and r.fan > 1)
    return layers_of(name for _, name in moved)
