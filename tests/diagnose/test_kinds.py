"""Contract: every kind of finding gets a cause wherever there is evidence; every kind of cause, a rule."""

import math
from dataclasses import replace

import pytest

from lightning_gradwatch.diagnose import rules
from lightning_gradwatch.records import CauseKind, Fault, Kind, TimeProfile
from tests.diagnose.made import XAVIER, causes, found, given, layer, net, op, optimizer, past, weight
from tests.reference.records import chain, frame, reading

TIME = (TimeProfile(ledger="loss", layer="rnn", decades=(-6.0, -3.0, 0.0), steps=3),)
BACK = (TimeProfile(ledger="loss", layer="rnn", decades=(6.0, 3.0, 0.0), steps=3),)
DEAD = (op("net.0", "Relu", dead=1.0, silent=1.0),)
FLAT = (op("net.0", slope=0.01),)
STILL = (weight("net.0", update=1e-9),)
LOG = Fault(layer="head", operation="Log", forward=True, operand=0.0)

# finding, frame -> the first cause, with nothing known of the past but eight calm steps.
CASES = {
    "vanishing along depth": (found("vanishing", "vanishing:loss"), frame(9, chain(*[-0.62] * 10)), "activation"),
    "vanishing in a branch": (
        found("vanishing", "vanishing:loss/branch"),
        frame(9, chain(0.0), branches=(chain(*[0.0] * 10, linear=-0.8),)),
        "initialization",
    ),
    "vanishing through time": (found("vanishing", "vanishing_in_time:loss:rnn"), frame(9, times=TIME), "recurrence"),
    "exploding along depth": (
        found("exploding", "exploding:loss"),
        frame(9, chain(*[0.0] * 10, linear=0.6)),
        "initialization",
    ),
    "exploding over the fit": (found("exploding", first=8), frame(9), "data"),
    "exploding through time": (found("exploding", "exploding_in_time:loss:rnn"), frame(9, times=BACK), "recurrence"),
    "dead units": (found("dead_units"), frame(9, operations=DEAD), "activation"),
    "behind dead units": (
        found("dead_units", "zero", "net.0"),
        frame(9, operations=DEAD, parameters=(weight("head"), weight("net.0", norm=0.0))),
        "initialization",
    ),
    "saturation": (found("saturation"), frame(9, operations=FLAT), "activation"),
    "broken by an operation": (found("nonfinite", first=8), frame(9, fault=LOG), "numerics"),
    "broken": (found("nonfinite", first=8), frame(9, loss=math.nan), "data"),
    "broken at once": (found("nonfinite", first=1), frame(1, loss=math.nan), "learning_rate"),
    "overflow": (found("nonfinite", "overflow", first=8), frame(9, given(math.inf)), "data"),
    "disconnected": (found("disconnected"), frame(9, parameters=(reading("net.0.weight", None),)), "disconnected"),
    "zero": (found("disconnected", "zero"), frame(9, parameters=(weight("net.0", norm=0.0),)), "disconnected"),
    "in no optimizer": (found("disconnected", "unowned"), frame(9, unowned=("net.0.weight",)), "disconnected"),
    "stalled": (found("stalled"), frame(9, parameters=STILL, rates=(1e-9,)), "learning_rate"),
    "stalled at an ordinary rate": (found("stalled"), frame(9, parameters=STILL, rates=(0.1,)), "learning_rate"),
}


def first(finding, one, anatomy=None, history=None):
    told = causes(finding, one, anatomy, history)
    kinds = {rule.code: rule.kind for rule in rules()}
    return kinds[next(iter(told))] if told else None


@pytest.mark.parametrize(("finding", "one", "cause"), CASES.values(), ids=CASES)
def test_first_cause(finding, one, cause):
    assert first(finding, one) == cause


def test_every_kind_of_finding_is_explained():
    assert {finding.kind for finding, _, _ in CASES.values()} == set(Kind)
    assert {kind for rule in rules() for kind in rule.findings} == set(Kind)


def test_every_kind_of_cause_has_a_rule():
    assert {rule.kind for rule in rules()} == set(CauseKind)


def test_codes_stand_in_the_hundred_of_their_kind():
    hundreds = {
        "1": {"activation"},
        "2": {"depth", "residual", "disconnected"},
        "3": {"initialization", "data"},
        "4": {"normalization"},
        "5": {"recurrence"},
        "6": {"learning_rate", "loss"},
        "7": {"precision", "numerics"},
    }
    assert all(str(rule.kind) in hundreds[rule.code[2]] for rule in rules())


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ["", ":loss", "_in_time:loss:rnn", ":loss/branch"])
def test_old_recordings_and_odd_numbers_break_nothing(kind, name):
    """Whatever is missing or not finite, the answer is a tuple of causes whose shares add up."""
    broken = iter((0.0, math.inf, -math.inf, math.nan, -math.inf, math.inf, math.nan, 0.0))
    ledger = given(math.nan)
    odd = frame(
        9,
        replace(ledger, segments=tuple(replace(s, decades=next(broken)) for s in ledger.segments), start=math.nan),
        times=(TimeProfile(ledger="loss", layer="rnn", decades=(), steps=0),),
        parameters=(weight("net.0", math.inf, math.nan, math.inf), weight("net.1", 0.0, 0.0), reading("a", None)),
        operations=(op("net.0", slope=0.0), op("net.1", "Relu"), op("", "NativeBatchNorm", family="norm", rows=0)),
        optimizers=(optimizer("Adam", 0.0),),
        rates=(0.0,),
        loss=math.nan,
    )
    wild = past(losses=[math.nan] * 8, norms=[math.inf] * 8, updates=[math.nan] * 8, boldest=(math.inf, "a", 1))
    for one in (odd, frame(9, parameters=()), frame(9, chain())):
        for anatomy in (net(), net(3, None), net(0, 0.0), net(3, math.inf, layer("x", fans=(None, None)))):
            for history in (past(), past(losses=()), wild, past(weights={"net.0.weight": XAVIER}, slopes={})):
                assert all(
                    0 < share <= 1 for share in causes(found(kind, f"{kind}{name}"), one, anatomy, history).values()
                )
