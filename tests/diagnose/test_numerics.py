import math
from dataclasses import replace

import pytest

from lightning_gradwatch.diagnose.numerics import suspected
from lightning_gradwatch.records import Fault, Operation
from tests.diagnose.made import answer, causes, found, past
from tests.reference.records import chain, frame, segment

BROKEN = found("nonfinite", first=8)
CLIMBING = past(losses=[1.0] * 4 + [9.0, 99.0, 999.0, 1e5], norms=[0.0] * 4 + [1.0, 2, 4, 8], updates=[0.5] * 8)


def broke(operation, operand=None, forward=True):
    return frame(8, fault=Fault(layer="head", operation=operation, forward=forward, operand=operand))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (broke("Log", 0.0), "the result of Log of a value of exactly 0 in head is not finite: use log(x + eps)"),
        (broke("Sqrt", 0.0, forward=False), "the derivative of Sqrt of a value of exactly 0 in head is not finite"),
        (broke("Exp", 95.0), "the result of Exp of 95 in head is not finite: use logsumexp"),
        (broke("Softmax"), "the result of Softmax in head is not finite"),
    ],
    ids=["log of 0", "sqrt at 0", "exp", "softmax of nothing"],
)
def test_names_the_operation(one, words):
    told = answer("GW702", BROKEN, one)
    assert words in told.sentence
    assert told.weight == 4.0
    assert next(iter(causes(BROKEN, one))) == "GW702"


def test_the_first_to_break_of_an_explosion():
    one = broke("Exp", 1e30)
    assert answer("GW702", BROKEN, one, history=CLIMBING).weight == 1.0
    assert next(iter(causes(BROKEN, one, history=CLIMBING))) == "GW601"
    assert next(iter(causes(BROKEN, broke("Log", 0.0), history=CLIMBING))) == "GW702"


def test_products_break_only_on_what_is_too_large_already():
    assert not answer("GW702", BROKEN, broke("Addmm")).holds


def test_no_operation_is_known():
    assert answer("GW702", BROKEN, frame(8)) is None


def stretch(*names, decades=math.nan):
    """A ledger whose first stretch that breaks holds these operations."""
    block = segment("head", decades, names[0], "block")
    block = replace(block, operations=tuple(Operation(name=name, family="other", share=0.2) for name in names))
    return replace(chain(0.0), segments=(*chain(0.0).segments[:1], block, segment("net.0", math.nan)))


def test_where_nobody_looked_at_single_operations_the_stretch_that_broke_names_one():
    one = frame(0, stretch("Add", "Mean", "Sqrt", "Sum", "Pow"), loss=2.3)
    told = answer("GW702", found("nonfinite"), one, history=past(losses=()))
    assert told.sentence.startswith("the derivative of Sqrt in head is not finite")
    assert causes(found("nonfinite"), one, history=past(losses=())) == {"GW702": 1.0}


@pytest.mark.parametrize("names", [("LogSoftmax",), ("Expand",), ("Addmm", "Relu")])
def test_a_stretch_without_an_edge_names_nothing(names):
    assert suspected(stretch(*names)) is None
    assert suspected(chain(0.0)) is None
