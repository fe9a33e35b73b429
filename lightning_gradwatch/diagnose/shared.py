"""The numbers that evidence is made with, which several rules share; each stands in the file that makes it."""

from __future__ import annotations

from lightning_gradwatch.diagnose import blame, course, gains, losses, stall, weights
from lightning_gradwatch.records.threshold import Threshold

# Name of the evidence -> the numbers behind it; the names are those of ``diagnose.evidence``.
SHARED: dict[str, tuple[Threshold, ...]] = {
    "blame": (*blame.THRESHOLDS, *weights.THRESHOLDS),
    "course": course.THRESHOLDS,
    "gains": (*gains.THRESHOLDS, *weights.THRESHOLDS),
    "losses": losses.THRESHOLDS,
    "stall": stall.THRESHOLDS,
}
