import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.records import OperationReading
from tests.reference.records import frame

STANDS, FALLS = [2.3] * 12, [2.3 - 0.15 * i for i in range(12)]


def reading(layer, slope, operation="Sigmoid", family="activation", **fields):
    return OperationReading(layer=layer, operation=operation, family=family, slope=slope, units=8, **fields)


def findings(*operations, losses=STANDS):
    judge = Judge()
    for step, loss in enumerate(losses):
        judge.judge(frame(step, loss=loss, operations=operations, rates=(0.1,)))
    return judge.findings


def test_names_the_flat_ones_flattest_first():
    [finding] = findings(reading("a", 0.15), reading("b", 0.02), reading("c", 0.9))
    assert (finding.kind, finding.severity, finding.layers) == ("saturation", "warning", ("b", "a"))
    assert finding.evidence[0].value == 0.02


def test_several_milder_ones_multiply():
    several = [reading(f"net.{i}", 0.3) for i in range(9)]
    assert findings(*several[:5]) == ()
    assert findings(*several)[0].layers == tuple(f"net.{i}" for i in range(9))  # together 4.7 decades


def test_attention_that_begins_decided_is_no_alarm_before_the_loss_has_told():
    one_hot, opened = (reading(f"layer.{i}", slope, "Softmax", "attention") for i, slope in enumerate((0.01, 0.9)))
    assert findings(one_hot, opened, losses=STANDS[:8])[0].severity == "info"
    assert findings(one_hot, opened, losses=STANDS * 2)[0].severity == "warning"
    assert findings(one_hot, losses=STANDS[:8])[0].severity == "warning"
    assert findings(one_hot, opened, reading("a", 0.01), losses=STANDS[:8])[0].severity == "warning"


def test_an_output_is_flat_where_the_loss_has_not_moved():
    output = reading("head", 0.001, family="output")
    [finding] = findings(output, losses=[0.9] * 20)
    assert (finding.layers, finding.severity) == (("head",), "warning")
    assert findings(output, losses=[0.9 - 0.04 * i for i in range(20)]) == ()


def test_attention_that_is_one_hot():
    assert findings(reading("attention", 0.01, "Softmax", "attention"))[0].layers == ("attention",)


def test_what_was_open_and_is_flat_a_step_later_is_no_information():
    judge = Judge()
    for step in range(24):
        operations = (reading("a", 0.8 if step < 12 else 0.01),)
        judge.judge(frame(step, loss=2.3 - 0.05 * step, operations=operations, rates=(0.1,)))
    assert [(one.kind, one.severity, one.first_step) for one in judge.findings] == [("saturation", "warning", 12)]


def test_an_information_while_the_fit_learns():
    assert findings(reading("a", 0.02), losses=FALLS)[0].severity == "info"


@pytest.mark.parametrize(
    "operation",
    [
        reading("a", 0.5),
        reading("a", 0.01, gates=True),
        reading("a", 0.1, family="output"),
        reading("a", 0.01, "Relu"),
        reading("a", None),
    ],
    ids=["open enough", "a decided gate", "an output that is open", "half of a relu is flat by design", "unknown"],
)
def test_silent(operation):
    assert findings(operation) == ()
