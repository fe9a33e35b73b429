"""Statistics that one wild step cannot move."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations

# The median absolute deviation of a normal distribution, times this, is its standard deviation.
_TO_STD = 1.4826


def median(values: Sequence[float]) -> float | None:
    """The median; None of nothing.

    Example:
        >>> median([1.0, 100.0, 2.0])
        2.0
    """
    return statistics.median(values) if values else None


def spread(values: Sequence[float]) -> float:
    """The median absolute deviation, scaled to a standard deviation; 0 of fewer than two values.

    Example:
        >>> spread([1.0, 2.0, 3.0, 4.0, 100.0])
        1.4826
    """
    if len(values) < 2:
        return 0.0
    middle = statistics.median(values)
    return _TO_STD * statistics.median(abs(value - middle) for value in values)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """The median slope over all pairs of (x, y) with different x; None of fewer than three points.

    Source: Sen, Estimates of the regression coefficient based on Kendall's tau (1968), section 3.

    Example:
        >>> slope([(0, 1.0), (1, 2.0), (2, 50.0), (3, 4.0), (4, 5.0)])
        1.0
    """
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if a[0] != b[0]]
    return statistics.median(slopes) if len(points) >= 3 and slopes else None


def noise(points: Sequence[tuple[float, float]]) -> float | None:
    """The standard deviation of y around its own straight trend over x; None of fewer than four points.

    Example:
        >>> noise([(0, 5.0), (1, 4.0), (2, 3.0), (3, 2.0)]), noise([(0, 0.0), (1, 1.0), (2, 0.0), (3, -1.0), (4, 0.0)])
        (0.0, 0.4942)
    """
    trend = slope(points)
    return None if trend is None or len(points) < 4 else spread([y - trend * x for x, y in points])
