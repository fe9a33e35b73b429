import pytest

from lightning_gradwatch.records import Fault
from tests.diagnose.made import answer, causes, found, past
from tests.reference.records import frame

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
