import math
from dataclasses import replace

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.dead_path import DeadPath
from lightning_gradwatch.detect.vanishing import Vanishing
from lightning_gradwatch.records import Kind
from tests.reference.records import chain, frame, reading


def findings(frames):
    judge = Judge([DeadPath(), Vanishing()])
    for one in frames:
        judge.judge(one)
    return judge.findings


def steps(parameters, *ledgers, count=6, **fields):
    return [frame(i, *ledgers, parameters=tuple(parameters), **fields) for i in range(count)]


def test_never_any_gradient():
    [finding] = findings(steps([reading("a.weight"), reading("b.weight", None), reading("b.bias", None)]))
    assert (finding.kind, finding.layers) == (Kind.DISCONNECTED, ("b",))
    assert finding.summary == "2 parameters require a gradient and get none"


@pytest.mark.parametrize(("size", "severity"), [(1, "info"), (100, "warning")])
def test_severity_follows_the_share(size, severity):
    [finding] = findings(steps([reading("a.weight", size=100), reading("b.weight", None, size=size)]))
    assert finding.severity == severity


def test_exactly_zero_is_disconnected_too():
    [finding] = findings(steps([reading("a.weight"), reading("b.weight", 0.0)]))
    assert (finding.kind, finding.layers) == (Kind.DISCONNECTED, ("b",))


def test_dead_units_cut_the_path():
    ledger = chain(-0.3, -math.inf, 0.0, activation="Relu")
    dead = replace(
        ledger, segments=tuple(replace(s, dead=1.0) if s.decades == -math.inf else s for s in ledger.segments)
    )
    [finding] = findings(steps([reading("head.weight"), reading("net.0.weight", 0.0)], dead))
    assert (finding.kind, finding.severity, finding.layers) == (Kind.DEAD_UNITS, "critical", ("net.1", "net.0"))
    assert "behind net.1, whose units are all zero," in finding.summary


def test_the_root_of_several_dead_layers_is_the_deepest():
    """Behind a dead layer the input is constant, and the layers that get it often die of that."""
    ledger = chain(-0.3, -math.inf, 0.0, 0.0, activation="Relu")
    dead = {"net.2", "net.1"}
    segments = tuple(
        replace(s, dead=1.0) if s.layer in dead and s.family == "activation" else s for s in ledger.segments
    )
    parameters = [reading("head.weight"), reading("net.0.weight", 0.0)]
    [finding] = findings(steps(parameters, replace(ledger, segments=segments)))
    assert finding.layers[0] == "net.1"


def test_what_fades_into_zero_is_not_disconnected():
    ledger = chain(*[-0.6] * 8, -math.inf, 0.0)
    found = findings(steps([reading("head.weight"), reading("net.0.weight", 0.0)], ledger))
    assert [finding.kind for finding in found] == [Kind.VANISHING]


def test_tiny_is_not_zero():
    assert findings(steps([reading("a.weight"), reading("b.weight", 1e-40)])) == ()


@pytest.mark.parametrize(
    "frames",
    [
        steps([reading("a.weight"), reading("b.weight", 0.0)], count=1)
        + steps([reading("a.weight"), reading("b.weight")]),
        steps([reading("a.weight"), reading("b.weight", None)], count=4),
        steps([reading("a.weight", None), reading("b.weight", None)]),
        [
            frame(i, parameters=(reading("head.weight"), reading("net.0.weight", None if i % 6 else 1.0)))
            for i in range(30)
        ],
        steps([reading("a.weight"), reading("b.weight", None)], skipped=True),
        steps([]),
        steps([reading("a.weight"), reading("a.bias", 0.0)]),
    ],
    ids=[
        "zero-initialised",
        "too early to say",
        "training_step returned None",
        "stochastic depth",
        "skipped",
        "nothing read",
        "idle bias",
    ],
)
def test_silent(frames):
    assert findings(frames) == ()


def test_what_was_fed_and_is_cut_off_for_good():
    found = findings([frame(i, parameters=(reading("a"), reading("b", 1.0 if i < 9 else None))) for i in range(30)])
    assert [(one.kind, one.severity, one.layers) for one in found] == [("disconnected", "warning", ("b",))]
    assert 9 <= found[0].first_step < 18


@pytest.mark.parametrize("bias", ["a.bias", "a.bias_orig", "a.bias_hh_l0"])
def test_a_bias_that_is_idle_or_pruned_beside_fed_weights(bias):
    assert findings(steps([reading("a.weight_orig"), reading(bias, 0.0)])) == ()


def test_a_parameter_without_elements_is_no_dead_path():
    assert findings(steps([reading("a.weight"), replace(reading("b.weight", 0.0), size=0)])) == ()


@pytest.mark.parametrize(("operation", "kind"), [("Relu", "dead_units"), ("Tanh", "saturation")])
def test_what_is_flat_for_every_value_is_dead_or_saturated_by_what_it_is(operation, kind):
    plain = chain(0.0, 0.0, -math.inf, activation=operation)
    flat = replace(
        plain, segments=tuple(replace(s, slope=0.0) if s.decades == -math.inf else s for s in plain.segments)
    )
    found = findings(steps([reading("head.weight"), reading("net.0.weight", 0.0)], flat))
    assert [(one.kind, one.id) for one in found] == [(kind, kind)]
