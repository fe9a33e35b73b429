import math
from dataclasses import replace

import pytest

from lightning_gradwatch.records import Fault
from tests.diagnose.made import answer, causes, found, op, optimizer, past, weight
from tests.reference.records import chain, frame, segment

STILL = found("stalled")


def behind(*before, head=0.0, outputs=()):
    """A ledger whose loss is made of these operations, and hands ``head`` decades to each of 640 outputs."""
    plain = chain(0.0, 0.0)
    first = segment("head", head - 0.5 * math.log10(640), before[0] if before else "NllLoss", "loss")
    more = [segment("head", 0.0, name, "other") for name in before[1:]]
    return replace(plain, segments=(first, *more, segment("head", 0.0, size=640), *plain.segments[2:]))


def still(ledger, kind="SGD", eps=None, norm=1.0, **fields):
    parameters = (weight("net.0", norm=norm, update=1e-9),)
    return frame(20, ledger, parameters=parameters, rates=(0.01,), optimizers=(optimizer(kind, eps),), **fields)


def test_a_tiny_loss_under_plain_descent():
    told = answer("GW611", STILL, still(behind(head=-6.0)))
    assert told.weight == pytest.approx(5.0)
    assert "hands 10^-6.0 to an element" in told.sentence
    assert next(iter(causes(STILL, still(behind(head=-6.0))))) == "GW611"


def test_an_adaptive_optimizer_feels_it_only_near_eps():
    assert not answer("GW611", STILL, still(behind(head=-6.0), "Adam", 1e-8)).holds
    near = still(behind(head=-9.0), "Adam", 1e-8, norm=64e-9)
    assert next(iter(causes(STILL, near))) == "GW611"


def test_an_ordinary_loss_and_one_of_unknown_size():
    assert not answer("GW611", STILL, still(behind(head=-0.5))).holds
    assert answer("GW611", STILL, still(chain(0.0))) is None


def test_a_loss_that_began_large():
    over = found("exploding", first=6)
    huge = past(losses=[1e5] * 8, top_rate=0.01, updates=[0.1] * 8)
    assert answer("GW611", over, frame(8), history=huge).weight == pytest.approx(2.0)
    assert next(iter(causes(over, frame(8), history=huge))) == "GW611"
    assert not answer("GW611", over, frame(8), history=past()).holds
    assert answer("GW611", found("exploding", "exploding:loss"), frame(8)) is None
    assert answer("GW611", over, frame(8), history=past(losses=())) is None


def flat(slope):
    return (op("head", "Sigmoid", slope=slope, family="output"),)


def test_a_saturated_output_with_squared_errors():
    """A slope of 1 % beside 1.5: two decades more."""
    one = still(behind("MseLoss", "Sigmoid"), operations=flat(0.01))
    told = answer("GW612", STILL, one)
    assert told.weight == pytest.approx(3.5)
    assert "the sigmoid at the output has 1% of its largest slope left" in told.sentence
    assert next(iter(causes(STILL, one))) == "GW612"


def test_a_saturated_output_is_its_losses_and_a_saturated_layer_is_not():
    one = still(behind("MseLoss", "Sigmoid"), operations=(*flat(0.001), op("net.0", "Sigmoid", slope=0.001)))
    assert next(iter(causes(found("saturation", None, "head"), one))) == "GW612"
    assert "GW612" not in causes(found("saturation", None, "net.0"), one)


def test_applied_twice():
    assert "applies its own" in answer("GW612", STILL, still(behind("NllLoss", "LogSoftmax", "Softmax"))).sentence


@pytest.mark.parametrize(
    ("before", "slope"),
    [(("MseLoss", "Sigmoid"), 0.6), (("BinaryCrossEntropyWithLogits",), 0.01)],
    ids=["open", "fused"],
)
def test_an_output_in_order(before, slope):
    assert not answer("GW612", STILL, still(behind(*before), operations=flat(slope))).holds


def test_nothing_is_known_of_the_output():
    assert answer("GW612", STILL, still(behind("MseLoss"))) is None
    assert answer("GW612", STILL, still(chain(0.0))) is None


def test_a_logarithm_by_hand_that_broke():
    log = Fault(layer="head", operation="Log", forward=True, operand=0.0)
    one = frame(0, behind("Mean", "Log", "Softmax"), fault=log)
    assert answer("GW612", found("nonfinite"), one).sentence == "the logarithm of a softmax is taken by hand"
    assert [*causes(found("nonfinite"), one)] == ["GW702", "GW612"]
    assert not answer("GW612", found("nonfinite"), frame(0, behind("NllLoss", "LogSoftmax"))).holds
