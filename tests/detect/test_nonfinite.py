import math

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.nonfinite import NonFinite
from lightning_gradwatch.records import Fault
from tests.reference.records import chain, frame, reading

BAD = (
    reading("net.0.weight", math.nan, nonfinite=3),
    reading("net.1.weight", math.inf, nonfinite=1),
    reading("head.w"),
)


def findings(*frames):
    judge = Judge([NonFinite()])
    for one in frames:
        judge.judge(one)
    return judge.findings


def test_named_at_once_with_place_step_and_batch():
    [finding] = findings(frame(9, chain(-1.0, math.nan, -1.0), parameters=BAD))
    assert (finding.severity, finding.first_step) == ("critical", 9)
    assert finding.layers == ("net.1", "net.0")  # the first in the order of the backward pass leads
    assert finding.summary == "4 elements of the gradient are inf or nan at step 9 (batch 9), first in net.1"
    assert {q.name: q.value for q in finding.evidence}["batch index"] == 9


def test_the_operation_that_broke_leads_and_what_it_spoils_later_changes_nothing():
    broken = Fault(layer="net.5", operation="Sqrt", forward=False, operand=0.0)
    spoiled = (reading("head.w", math.nan, nonfinite=9),)
    first = frame(9, chain(-1.0, math.nan, -1.0), parameters=BAD, fault=broken)
    [finding] = findings(first, *(frame(step, parameters=spoiled) for step in range(10, 14)))
    assert (finding.layers, finding.last_step) == (("net.5", "net.0", "net.1"), 13)
    assert finding.summary.endswith("at step 9 (batch 9), first in net.5")


def test_without_a_ledger_the_modules_are_named():
    [finding] = findings(frame(0, parameters=BAD))
    assert finding.layers == ("net.0", "net.1")


@pytest.mark.parametrize("fields", [{"skipped": True}, {}], ids=["skipped by the scaler", "finite"])
def test_silent(fields):
    parameters = BAD if fields else None
    assert findings(frame(0, parameters=parameters, **fields)) == ()


def test_resolves():
    found = findings(frame(0, parameters=BAD), frame(1), frame(2), frame(3))
    assert [f.resolved for f in found] == [True]
