import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.sagemaker.activations import DeadRelu, SaturatedActivation
from lightning_gradwatch.records import OperationReading
from tests.reference.records import frame


def one(layer, dead, operation="Relu"):
    return OperationReading(layer=layer, operation=operation, family="activation", dead=dead, units=8, rows=32)


def findings(detector, *operations, **fields):
    judge = Judge([detector()])
    judge.judge(frame(0, operations=operations, **fields))
    return judge.findings


def test_dead_relu_worst_first():
    [finding] = findings(DeadRelu, one("a", 0.6), one("b", 0.5), one("c", 1.0), one("d", 1.0, "Gelu"))
    assert (finding.id, finding.kind, finding.layers) == ("sagemaker:DeadRelu", "dead_units", ("c", "a"))
    assert finding.summary == "DeadRelu: 100% of the 8 units of c are dead"


def test_saturated_tanh_and_sigmoid():
    [finding] = findings(SaturatedActivation, one("a", 0.6, "Tanh"), one("b", 0.9, "Sigmoid"), one("c", 1.0))
    assert (finding.id, finding.kind, finding.layers) == ("sagemaker:SaturatedActivation", "saturation", ("b", "a"))


@pytest.mark.parametrize("detector", [DeadRelu, SaturatedActivation])
@pytest.mark.parametrize("share", [0.5, 0.0, None])
def test_silent(detector, share):
    assert findings(detector, *(one("a", share, name) for name in ("Relu", "Tanh", "Sigmoid"))) == ()


def test_skipped_steps_are_not_asked():
    assert findings(DeadRelu, one("a", 1.0), skipped=True) == ()
