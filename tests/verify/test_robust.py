from __future__ import annotations

import random
import statistics

import pytest

from lightning_gradwatch.verify.robust import median, noise, slope, spread


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        pytest.param(median, [], None, id="median of nothing"),
        pytest.param(median, [3.0, 1.0], 2.0, id="median of two"),
        pytest.param(spread, [], 0.0, id="spread of nothing"),
        pytest.param(spread, [7.0], 0.0, id="spread of one"),
        pytest.param(spread, [0.0, 1.0, 2.0, 3.0, 1e9], 1.4826, id="spread beside a wild one"),
        pytest.param(noise, [(0.0, 1.0), (1.0, 2.0), (2.0, 9.0)], None, id="noise of three"),
        pytest.param(noise, [(0.0, 9.0), (1.0, 6.0), (2.0, 3.0), (3.0, 0.0)], 0.0, id="a straight line has none"),
        pytest.param(slope, [(0.0, 1.0), (1.0, 2.0)], None, id="slope of two"),
        pytest.param(slope, [(1.0, 1.0)] * 4, None, id="slope at one place"),
        pytest.param(
            slope, [(0.0, 4.0), (2.0, 3.0), (4.0, 2.0), (6.0, 1.0), (8.0, 99.0)], -0.5, id="slope beside a wild one"
        ),
    ],
)
def test_by_hand(function, values, expected):
    assert function(values) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("drift", [0.0, -0.5, 3.0])
def test_noise_is_the_standard_deviation_around_a_trend(drift):
    rng = random.Random(0)
    points = [(float(i), drift * i + rng.gauss(0, 2.0)) for i in range(600)]
    assert noise(points) == pytest.approx(2.0, rel=0.1)


def test_spread_is_the_standard_deviation_of_a_normal_distribution():
    rng = random.Random(1)
    values = [rng.gauss(5, 3.0) for _ in range(4000)]
    assert spread(values) == pytest.approx(statistics.stdev(values), rel=0.05)
