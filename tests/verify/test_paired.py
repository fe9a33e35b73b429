"""Better, same or worse: against the noise of the pairs, and with losses that broke."""

import math

import pytest

from lightning_gradwatch.verify.paired import compare, mean

CASES = {
    "clear": ([2.3, 2.4, 2.2], [1.0, 1.1, 1.2], "better"),
    "clear, the other way": ([1.0, 1.1, 1.2], [2.3, 2.4, 2.2], "worse"),
    "noise": ([1.0, 2.0, 3.0], [1.5, 1.4, 3.1], "same"),
    "less than a hundredth": ([1.0, 1.0], [0.995, 0.995], "same"),
    "two hundredths, without noise": ([1.0, 1.0], [0.98, 0.98], "better"),
    "broke": ([1.0, 1.0], [math.inf, 1.0], "worse"),
    "broke before": ([math.nan, math.inf], [5.0, 6.0], "better"),
    "both broke": ([math.inf], [math.inf], "same"),
    "nothing": ([], [], "same"),
    "one pair": ([2.0], [1.0], "better"),
    "negative losses": ([-1.0, -1.1], [-2.0, -2.1], "better"),
}


@pytest.mark.parametrize(("before", "after", "effect"), CASES.values(), ids=CASES)
def test_compare(before, after, effect):
    assert compare(before, after) == effect


def test_exchanging_the_arms_exchanges_the_verdict():
    other = {"better": "worse", "worse": "better", "same": "same"}
    for before, after, effect in CASES.values():
        if all(map(math.isfinite, (*before, *after))):
            big = max((abs(x) for x in (*before, *after)), default=1.0)
            assert compare(after, before) in {other[effect], "same"} or big == 0


def test_mean_of_what_broke_is_infinite():
    assert mean([1.0, 2.0]) == 1.5
    assert mean([1.0, math.nan]) == mean([math.inf]) == mean([]) == math.inf
