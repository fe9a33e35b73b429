"""Whether one arm of a trial did better than another on the same seeds and batches, or whether that is noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

# A change of the loss that is smaller than this share of it is none, however steady it is.
LEAST = 0.01
# So many standard errors of the mean difference are no accident.
ERRORS = 2.0


def compare(before: Sequence[float], after: Sequence[float]) -> str:
    """Whether losses became "better", "worse" or stayed the "same": by the mean difference beside its standard error.

    Losses that are not finite are worse than all that are.

    Args:
        before: losses of the arm without a treatment.
        after: of the one with it, in the same order.

    Example:
        >>> compare([2.3, 2.4, 2.2], [1.0, 1.1, 1.2]), compare([1.0, 2.0], [1.1, 1.9]), compare([1.0], [math.inf])
        ('better', 'same', 'worse')
    """
    pairs = list(zip(before, after, strict=False))
    broken = [math.isfinite(a) - math.isfinite(b) for b, a in pairs]
    if sum(broken):
        return "better" if sum(broken) > 0 else "worse"
    differences = [b - a for b, a in pairs if math.isfinite(a) and math.isfinite(b)]
    if not differences:
        return "same"
    size = statistics.fmean(abs(b) for b, _ in pairs if math.isfinite(b))
    error = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return told(statistics.fmean(differences), error, size)


def told(fall: float, error: float, size: float) -> str:
    """The verdict in a word: "better", "worse" or "same".

    Args:
        fall: of the loss, by the treatment.
        error: the standard error of that.
        size: of the losses.
    """
    if abs(fall) <= max(LEAST * size, ERRORS * error):
        return "same"
    return "better" if fall > 0 else "worse"


def mean(losses: Sequence[float]) -> float:
    """The mean; infinite if any is."""
    return math.inf if not losses or not all(map(math.isfinite, losses)) else statistics.fmean(losses)
