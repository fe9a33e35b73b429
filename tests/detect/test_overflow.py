import math

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.overflow import PERSISTENT, Overflow
from tests.reference.records import frame, reading

BAD = (reading("net.0.weight", math.inf, nonfinite=3), reading("head.weight"))


def skipped(step, scale):
    return frame(step, parameters=BAD, skipped=True, skipped_steps=step + 1, loss_scale=scale)


def judged(*frames):
    judge = Judge([Overflow()])
    for one in frames:
        judge.judge(one)
    return judge.findings


def test_finding_the_scale_is_no_news_even_from_far_above():
    search = [skipped(step, 2.0 ** (60 - step)) for step in range(60)]
    assert judged(*search, frame(60, loss_scale=1.0, skipped_steps=60)) == ()


def test_a_scale_below_one_is_hopeless():
    [finding] = judged(*(skipped(step, 2.0 ** (2 - step)) for step in range(4)))
    assert (finding.kind, finding.severity, finding.first_step) == ("nonfinite", "critical", 3)
    assert finding.summary == (
        "the AMP scaler skips every step since step 0: gradients are inf or nan even at a loss scale of 0.5"
    )
    assert finding.layers == ("net.0",)
    assert {q.name: q.value for q in finding.evidence}["steps skipped in a row"] == 4


@pytest.mark.parametrize(("last", "found"), [(PERSISTENT - 2, 0), (PERSISTENT - 1, 1)], ids=["not yet", "long enough"])
def test_a_hundred_steps_in_a_row_are_hopeless(last, found):
    assert len(judged(skipped(0, 65536.0), skipped(last, 65536.0))) == found


def test_one_step_that_was_made_begins_the_count_anew():
    assert judged(skipped(0, 8.0), frame(50, loss_scale=8.0, skipped_steps=1), skipped(120, 8.0)) == ()


def test_resolves():
    ill = [skipped(0, 0.5)]
    well = [frame(step, loss_scale=1.0, skipped_steps=1) for step in (1, 2, 3)]
    assert [finding.resolved for finding in judged(*ill, *well)] == [True]


def test_the_count_survives_a_checkpoint():
    judge, resumed = Judge([Overflow()]), Judge([Overflow()])
    judge.judge(skipped(0, 65536.0))
    resumed.restore(judge.state())
    resumed.judge(skipped(PERSISTENT, 65536.0))
    assert len(resumed.findings) == 1
