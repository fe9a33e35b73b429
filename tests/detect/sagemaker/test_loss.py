import math

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.sagemaker.loss import STEPS, LossNotDecreasing
from tests.reference.records import frame


def judged(losses, **fields):
    judge = Judge([LossNotDecreasing()])
    for step, loss in losses:
        judge.judge(frame(step, loss=loss, **fields))
    return judge.findings


def ten(last, first=2.0):
    return [*((i, first) for i in range(STEPS)), (STEPS, last)]


def test_one_that_stands():
    [finding] = judged(ten(2.0))
    assert (finding.id, finding.kind, finding.first_step) == ("sagemaker:LossNotDecreasing", "stalled", STEPS)
    assert finding.summary == "LossNotDecreasing: the loss has fallen by 0 % since step 0"


def test_one_that_rises():
    [finding] = judged(ten(2.2))
    assert finding.summary == "LossNotDecreasing: the loss has risen by 10 % since step 0"


@pytest.mark.parametrize("last", [2.0 * 0.998, 2.0 * 1.049, 1.0])
def test_silent_where_it_falls_or_rises_a_little(last):
    assert judged(ten(last)) == ()


def test_a_negative_loss_is_read_by_its_size():
    assert judged(ten(-2.2, -2.0)) == ()
    assert len(judged(ten(-1.8, -2.0))) == 1


def test_sparse_steps_are_held_against_one_at_least_ten_before():
    [finding] = judged([(0, 1.0), (9, 5.0), (18, 2.0)])
    assert "has risen by 1e+02 % since step 0" in finding.summary


@pytest.mark.parametrize("last", [None, math.nan, math.inf])
def test_no_loss_no_verdict(last):
    assert judged(ten(last)) == ()


def test_nothing_to_compare_with():
    assert judged(ten(2.0)[:-1]) == ()
    assert judged([*((i, 0.0) for i in range(STEPS)), (STEPS, 1.0)]) == ()
