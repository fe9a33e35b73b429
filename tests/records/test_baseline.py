import json
import math
import random

import pytest

from lightning_gradwatch.records.baseline import Baseline, Baselines


def noise(spread, seed=0, count=10_000):
    """Readings around 1, lognormal, of that standard deviation in decades."""
    generator = random.Random(seed)
    return [10 ** generator.gauss(0, spread) for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3, 0.6])
def test_steady_noise_is_no_news(spread, seed):
    baseline = Baseline()
    assert not any(baseline.takes(value) for value in noise(spread, seed))


def test_false_alarms_of_noise_are_fewer_than_one_in_50_000_readings():
    baselines = [Baseline() for _ in range(20)]
    left = sum(one.takes(value) for i, one in enumerate(baselines) for value in noise(0.3, 100 + i))
    assert left <= 4


@pytest.mark.parametrize(("decades", "steps"), [(1, 400), (-6, 400), (-3, 60)])  # readings are five steps apart
def test_a_drift_is_no_news(decades, steps):
    baseline = Baseline()
    drifting = [value * 10 ** (decades * i / steps) for i, value in enumerate(noise(0.05, count=steps))]
    assert not any(baseline.takes(value) for value in noise(0.05, 1, 50) + drifting)


@pytest.mark.parametrize("before", [4, 10, 1000])
@pytest.mark.parametrize("decades", [2, -2, 6])
def test_a_jump_is_news_at_once_and_only_once(decades, before):
    baseline = Baseline()
    assert not any(baseline.takes(value) for value in noise(0.1, count=before))
    after = [value * 10**decades for value in noise(0.1, 2, 200)]
    assert [baseline.takes(value) for value in after] == [True] + [False] * 199


@pytest.mark.parametrize(("spread", "decades"), [(0.05, 1.5), (0.1, 2), (0.3, 3)])
def test_a_jump_out_of_usual_noise_is_news_within_three_readings(spread, decades):
    for seed in range(20):
        baseline = Baseline()
        assert not any(baseline.takes(value) for value in noise(spread, seed, 500))
        assert any(baseline.takes(value / 10**decades) for value in noise(spread, seed + 100, 3))


def test_a_number_that_often_jumps_is_believed_ever_less():
    baseline = Baseline()
    told = [baseline.takes(10.0 ** (4 * (i // 10 % 2))) for i in range(1000)]  # a level every ten readings
    assert 1 <= sum(told) <= 3


def test_zero_is_news_where_it_was_never_before():
    baseline = Baseline()
    assert [baseline.takes(value) for value in (1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)] == [False] * 4 + [True] + [
        False
    ] * 2


@pytest.mark.parametrize("values", [[0.0] * 50, [0.0, 1.0] * 50, [0.0, 1.0, 1.0] * 50])
def test_zeros_of_its_nature_are_no_news(values):
    baseline = Baseline()
    assert not any(baseline.takes(value) for value in values)


def test_a_loss_may_be_zero_or_negative():
    baseline = Baseline(fears_zero=False)
    assert not any(baseline.takes(value) for value in [1.0] * 9 + [0.0, -1.0, -1e9, 0.0, 1.0])


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_news_once(odd):
    baseline = Baseline()
    assert [baseline.takes(value) for value in (1.0, odd, odd, 1.0, 1.0)] == [False, True, False, False, False]
    assert Baseline().takes(odd) is False  # nothing is known yet


def test_who_could_not_be_looked_at_has_still_left_at_the_next_reading():
    baselines = Baselines()
    for _ in range(9):
        assert not baselines.left_by({"a": 1.0, "b": 1.0})
    assert baselines.left_by({"a": 1e-5, "b": 1.0}) == ["a"]
    assert baselines.left_by({"a": 1e-5, "b": 1.0}) == ["a"]
    baselines.restart({"a": 1e-5}, ["a"])
    assert not baselines.left_by({"a": 1e-5, "b": 1.0})


def test_goes_on_from_its_state():
    first, second = Baselines(), Baselines()
    values = [*noise(0.3, count=200), 0.0, *noise(0.3, 1, 100), 1e-9, math.nan, *noise(0.3, 2, 100)]
    for i, value in enumerate(values):
        if i % 7 == 0:
            second.restore(json.loads(json.dumps(first.state())))
        readings = {"a": value}
        left = first.left_by(readings, margin=0.7)
        assert second.left_by(readings, margin=0.7) == left
        for one in (first, second):
            one.restart(readings, left)
    assert second.state() == first.state()


@pytest.mark.parametrize("damaged", [{"a": [1.0]}, {"a": ["x", True, 0, 0, 0, 0, False]}, {"a": None}])
def test_a_damaged_state_is_refused(damaged):
    with pytest.raises((TypeError, ValueError)):
        Baselines().restore(damaged)
