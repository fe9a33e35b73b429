import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.records import OperationReading
from tests.reference.records import frame, reading

SEEN = OperationReading(layer="rnn", operation="Tanh", family="activation", slope=0.6)
STANDS, FALLS = [2.3] * 12, [2.3 - 0.15 * i for i in range(12)]


def findings(weight, losses=STANDS, operations=(), name="rnn.weight_hh_l0"):
    judge = Judge()
    for step, loss in enumerate(losses):
        parameters = (reading(name, fan=64, weight=weight), reading("head.weight", fan=8, weight=5.0))
        judge.judge(frame(step, loss=loss, parameters=parameters, operations=operations, rates=(0.1,)))
    return judge.findings


def test_weights_that_drive_every_gate_to_its_end():
    [finding] = findings(1.0)
    assert (finding.kind, finding.severity, finding.layers) == ("saturation", "warning", ("rnn",))
    assert finding.evidence[0].value == 8.0  # 1.0 times the root of 64
    assert findings(1.0, losses=FALLS)[0].severity == "info"


def test_a_layer_whose_name_only_begins_alike_shows_nothing_of_it():
    other = OperationReading(layer="rnn2", operation="Tanh", family="activation", slope=0.6)
    assert findings(1.0, operations=(other,))[0].layers == ("rnn",)


@pytest.mark.parametrize(
    "told",
    [
        {"weight": 0.07},
        {"weight": 0.4},
        {"weight": None},
        {"weight": 1.0, "name": "net.weight"},
        {
            "weight": 1.0,
            "operations": (OperationReading(layer="rnn", operation="Tanh", family="activation", slope=0.6),),
        },
    ],
    ids=["as torch begins", "trained", "not known", "not recurrent", "its activations are seen"],
)
def test_silent(told):
    assert findings(**told) == ()
