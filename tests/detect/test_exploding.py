import math

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.records import Kind
from tests.reference.records import chain, frame, reading


def watched(norms, losses, updates=None, **fields):
    judge = Judge()
    updates = updates or [1e-3] * len(norms)
    for step, (norm, loss, update) in enumerate(zip(norms, losses, updates, strict=True)):
        weight = reading("net.0.weight", norm, update=update, fan=4)
        judge.judge(frame(step, loss=loss, parameters=(weight,), rates=(0.1,), **fields))
    return judge


def test_growth_along_depth():
    judge = Judge()
    for step in range(4):
        judge.judge(frame(step, chain(*[0.5] * 12)))
    [finding] = judge.findings
    assert (finding.kind, finding.severity, finding.layers[0]) == (Kind.EXPLODING, "warning", "net.0")
    assert {e.name: e.value for e in finding.evidence}["decades grown"] == pytest.approx(6.0)
    assert len(finding.layers) < 12  # only those that get far more than the head


def test_growth_is_an_information_while_the_fit_learns_and_critical_when_it_is_wild():
    judge, wild = Judge(), Judge()
    for step in range(9):
        judge.judge(frame(step, chain(*[0.5] * 12), loss=2.0 - 0.2 * step))
        wild.judge(frame(step, chain(*[1.0] * 12)))
    assert judge.findings[0].severity == "info"
    assert wild.findings[0].severity == "critical"


def test_mild_growth_is_an_information_until_the_loss_has_told():
    judge = Judge()
    severities = []
    for step in range(16):
        judge.judge(frame(step, chain(*[0.4] * 12)))
        severities.append([str(finding.severity) for finding in judge.findings])
    assert severities[8] == ["info"]
    assert severities[15] == ["warning"]


def test_leaves_its_baseline_and_takes_the_loss_along():
    judge = watched([1.0] * 10 + [1e4] * 4, [2.0] * 5 + [1.0] * 5 + [50.0] * 4)
    [finding] = judge.findings
    assert (finding.kind, finding.severity, finding.first_step) == (Kind.EXPLODING, "warning", 10)
    assert {e.name: round(e.value, 1) for e in finding.evidence}["rise of the gradient norm over its baseline"] == 4.0


@pytest.mark.parametrize(
    ("norms", "losses"),
    [
        ([1.0] * 10 + [1e4] + [1.0] * 5, [1.0] * 10 + [50.0] + [1.0] * 5),
        ([1.0, 0.1] * 8, [1.0, 0.2] * 8),
        ([0.001, 1.0] * 8, [0.1, 0.11] * 8),
        ([1e3, 1e2, 10.0, *[1.0] * 10], [9.0, 5.0, 3.0, *[1.0] * 10]),
        ([1.0] * 10 + [1e4 / 2**i for i in range(8)], [1.0] * 10 + [1e4 / 2**i for i in range(8)]),
    ],
    ids=["one outlier batch", "noisy batches", "converged, easy and hard batches", "cold start", "another loss"],
)
def test_silent(norms, losses):
    assert [f for f in watched(norms, losses).findings if f.is_alarm] == []


def test_weights_that_leap_are_believed_at_once():
    judge = watched([1.0] * 6 + [1e3, 1e3], [1.0] * 6 + [9.0, 8.0], [1e-3] * 6 + [2.0, 2.0])
    assert [finding.kind for finding in judge.findings] == ["exploding"]


def test_skipped_steps_and_broken_numbers_say_nothing():
    assert watched([1.0] * 5 + [1e4] * 4, [1.0] * 5 + [50.0] * 4, skipped=True).findings == ()
    found = watched([1.0] * 5 + [math.inf] * 4, [1.0] * 5 + [50.0] * 4).findings
    assert [finding.kind for finding in found] == [Kind.NONFINITE]
