"""A gradient that its number format ends: a finding of its own kind of cause, and never a dead path."""

import math

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.records import Kind
from tests.records.test_formats import stored
from tests.reference.records import chain, frame, reading

NOTHING = -math.inf
ZERO = stored(chain(-0.2, NOTHING, 0.0), start=-6.0)
TRICKLE = stored(chain(-0.2, -0.2), start=-6.5)
NEAR = stored(chain(-0.2, -0.2), start=-5.5)
FED = (reading("head.weight", 1e-6, update=1e-4), reading("net.0.weight", 1e-7, update=1e-5))
UNFED = (reading("head.weight", 1e-6, update=1e-4), reading("net.0.weight", 0.0))
STILL = tuple(reading(name, 0.0, update=0.0) for name in ("head.weight", "net.0.weight"))


def findings(ledger, parameters=FED, steps=8, losses=(1.0,), **fields):
    judge = Judge()
    for i in range(steps):
        judge.judge(frame(i, ledger, parameters=parameters, loss=losses[min(i, len(losses) - 1)], **fields))
    return judge.findings


@pytest.mark.parametrize(
    ("ledger", "parameters"),
    [(ZERO, UNFED), (ZERO, STILL), (TRICKLE, FED), (NEAR, UNFED)],
    ids=["zero", "nothing moves", "below the smallest number", "a layer without any"],
)
def test_it_is_vanishing_and_nothing_is_disconnected(ledger, parameters):
    [finding] = findings(ledger, parameters, rates=(0.1,))
    assert (finding.kind, finding.id) == (Kind.VANISHING, "vanishing:loss")
    assert "float16 ends at 6e-08" in finding.summary


@pytest.mark.parametrize(
    ("ledger", "parameters", "fields"),
    [(NEAR, FED, {}), (ZERO, STILL, {"rates": (0.0,)}), (ZERO, STILL, {"rates": (0.1,), "skipped": True})],
    ids=["some zeros", "rate 0", "skipped"],
)
def test_silent(ledger, parameters, fields):
    assert findings(ledger, parameters, **fields) == ()


def test_a_true_zero_stays_what_it_is():
    [finding] = findings(stored(chain(-0.2, NOTHING, 0.0), start=-2.0), UNFED)
    assert (finding.kind, finding.id) == (Kind.DISCONNECTED, "zero")


def test_what_fades_to_the_end_is_told_by_what_the_network_loses():
    [finding] = findings(stored(chain(*[-0.6] * 7, NOTHING, 0.0), start=-1.7))
    assert finding.summary == "net.1 gets nothing: the gradient underflows to zero after 4.2 decades"


def test_the_layers_and_the_evidence():
    [finding] = findings(ZERO, UNFED)
    assert finding.layers == ("net.0", "net.1")
    assert finding.summary == (
        "net.0 gets nothing: float16 ends at 6e-08, and the gradient enters the network at 10^-7.0 an element"
    )
    numbers = {quantity.name: quantity.value for quantity in finding.evidence}
    assert numbers["gradient that enters, an element"] == pytest.approx(1e-7)
    assert numbers["smallest number of float16"] == pytest.approx(2.0**-24)
    assert (numbers["zeros"], numbers["loss scale"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("ledger", "losses", "severity"),
    [(ZERO, [1.0], "critical"), (TRICKLE, [1.0], "warning"), (ZERO, [9.0, 9.0, 1.0], "info")],
    ids=["nothing", "a trickle", "the loss falls: it has converged"],
)
def test_severity(ledger, losses, severity):
    [finding] = findings(ledger, UNFED if ledger is ZERO else FED, losses=losses)
    assert finding.severity == severity


def test_it_is_resolved_by_a_larger_scale():
    judge = Judge()
    for i in range(8):
        scale = 1.0 if i < 4 else 2.0**16
        judge.judge(frame(i, stored(chain(-0.2, -0.2), start=-6.5, scale=scale), parameters=FED))
    [finding] = judge.findings
    assert (finding.resolved, finding.resolved_step) == (True, 6)
