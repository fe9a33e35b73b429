import math

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.records import Severity, TimeProfile
from tests.reference.records import frame


def profile(first, last=0.0, steps=20, layer="rnn"):
    slope = (last - first) / (steps - 1)
    return TimeProfile(ledger="loss", layer=layer, decades=tuple(first + slope * i for i in range(steps)), steps=steps)


def findings(times, losses):
    judge = Judge()
    for step, loss in enumerate(losses):
        judge.judge(frame(step * 5, loss=loss, times=times, rates=(0.1,)))
    return judge.findings


STANDS, FALLS = [2.3] * 20, [2.3 - 0.1 * i for i in range(20)]


@pytest.mark.parametrize(
    ("lost", "losses", "severity"),
    [(5.0, STANDS, "warning"), (8.0, STANDS, "critical"), (8.0, FALLS, "info"), (8.0, STANDS[:5], "info")],
    ids=["stands", "stands and far gone", "learns", "too early to tell"],
)
def test_early_steps_that_get_nothing(lost, losses, severity):
    [finding] = findings((profile(-lost),), losses)
    assert (finding.kind, finding.layers, finding.severity) == ("vanishing", ("rnn",), severity)
    assert finding.first_step == 0
    assert {e.name: e.value for e in finding.evidence}["decades lost through time"] == pytest.approx(lost)


@pytest.mark.parametrize(
    "times",
    [(profile(-1.5),), (TimeProfile(ledger="loss", layer="rnn", decades=(-math.inf, -math.inf, 0.0), steps=3),), ()],
    ids=["fades a little", "cut off", "not recurrent"],
)
def test_silent(times):
    assert findings(times, STANDS) == ()


def test_underflow_counts_as_far_as_it_was_seen():
    faded = TimeProfile(ledger="loss", layer="rnn", decades=(-math.inf, -38.0, -20.0, 0.0), steps=4)
    [finding] = findings((faded,), STANDS)
    assert finding.severity is Severity.CRITICAL
    assert {e.name: e.value for e in finding.evidence}["decades lost through time"] == 38.0


def test_growth_back_through_time():
    [finding] = findings((profile(0.0, last=-6.0),), STANDS)
    assert (finding.kind, finding.severity, finding.layers) == ("exploding", "warning", ("rnn",))
    assert findings((profile(0.0, last=-6.0),), FALLS)[0].severity is Severity.INFO
    assert findings((profile(0.0, last=-2.0),), STANDS) == ()


def test_each_layer_and_loss_is_its_own():
    found = findings((profile(-8, layer="low"), profile(-8, layer="high")), STANDS)
    assert sorted(one.layers[0] for one in found) == ["high", "low"]
