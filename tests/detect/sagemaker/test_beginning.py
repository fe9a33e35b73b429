import random
import statistics

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.sagemaker.beginning import _WIDEST, RANGE, STEPS, PoorWeightInitialization
from tests.reference.records import frame, reading

FINE = (reading("a.weight", fan=4, weight=0.1), reading("b.weight", fan=4, weight=0.3))


def findings(*frames):
    judge = Judge([PoorWeightInitialization()])
    for one in frames:
        judge.judge(one)
    return judge.findings


def falling(step, parameters=FINE, **fields):
    return frame(step, parameters=parameters, loss=2.0 - 0.1 * step, **fields)


def test_unlike_variances():
    unlike = (reading("a.weight", fan=4, weight=0.1), reading("b.weight", fan=4, weight=0.32))
    [finding] = findings(falling(0, unlike))
    assert (finding.id, finding.kind) == ("sagemaker:PoorWeightInitialization", "vanishing")
    assert finding.layers == ("a", "b")
    assert finding.evidence[0].value == pytest.approx(10.24)


def test_a_narrow_band_of_gradients():
    narrow = (reading("a.weight", 2 * 0.99 * RANGE / _WIDEST, fan=4, weight=0.1), FINE[1])
    [finding] = findings(falling(0, narrow))
    assert finding.layers == ("a",)
    assert finding.evidence[0].value == pytest.approx(0.99 * RANGE)


def test_a_loss_that_stands():
    [finding] = findings(*(frame(i, parameters=FINE, loss=2.0) for i in range(6)))
    assert (finding.first_step, finding.layers) == (5, ())
    assert finding.summary == "PoorWeightInitialization: the loss has not fallen for 5 steps"


def test_silent_where_all_is_well():
    assert findings(*map(falling, range(STEPS + 3))) == ()


def test_asked_in_the_first_steps_only_and_what_it_found_stays():
    sick = (reading("a.weight", 0.0, fan=4, weight=0.1),)
    assert findings(falling(STEPS, sick)) == ()
    [finding] = findings(falling(STEPS - 1, sick), *(falling(STEPS + i) for i in range(6)))
    assert finding.is_alarm


def test_biases_and_skipped_steps_are_not_asked():
    assert findings(falling(0, (reading("a.bias", 0.0),)), falling(1, FINE, skipped=True)) == ()


@pytest.mark.parametrize("seed", range(6))
def test_the_band_is_never_wider_than_the_bound(seed):
    draw = random.Random(seed)
    heavy = [draw.gauss(0, 1) ** 3 + seed - 2 for _ in range(500)]
    two = [draw.choice((-1.0, 1.0)) * (draw.random() < 0.11) for _ in range(500)]  # all of it at the percentiles
    for values in (heavy, two):
        cuts = statistics.quantiles(values, n=20, method="inclusive")
        assert cuts[-1] - cuts[0] <= _WIDEST * statistics.fmean(v * v for v in values) ** 0.5
