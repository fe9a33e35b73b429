"""What stands in for a saturating activation, and never without its weights."""

from __future__ import annotations

import pytest

from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.replace_activation import ReplaceActivation
from tests.remedies.findings import DEFAULT, HE, cause, finding, stack, with_layers

RULE = ReplaceActivation()
SIGMOID = finding(cause("activation", Sigmoid=19))


@pytest.mark.parametrize("found", [SIGMOID, finding(cause("activation", Relu=19))], ids=["sigmoid", "relu"])
@pytest.mark.parametrize("std", [DEFAULT, HE, None], ids=str)
def test_a_rectifier_is_never_advised_without_he(found, std):
    for remedy in prescribe(found, stack(None, std=std)):
        assert "ReLU" not in remedy.advice or "He initialisation" in remedy.advice


def test_it_says_what_relu_would_lose_with_the_weights_as_they_are():
    said = RULE.weigh(SIGMOID, stack("Sigmoid")).reason
    # 19 x log10(sqrt(64 x 0.0722^2 / 2)) = -7.39 in the hidden layers, -0.79 in the head of 10 classes
    assert "ReLU alone would not do" in said
    assert "0.072, He gives 0.18" in said
    assert "about 8.2 decades" in said
    assert 'nn.init.kaiming_normal_(w, nonlinearity="relu")' in said


@pytest.mark.parametrize(
    ("std", "said"),
    [
        pytest.param(HE, "suit a ReLU already", id="He already"),
        pytest.param(None, "0.39 decades a layer", id="unknown"),
    ],
)
def test_it_knows_the_weights(std, said):
    assert said in RULE.weigh(SIGMOID, stack("Sigmoid", std=std)).reason


@pytest.mark.parametrize(
    ("found", "anatomy"),
    [
        pytest.param(finding(cause("activation", Gelu=9)), stack("GELU"), id="not saturating"),
        pytest.param(finding(cause("activation")), stack(None), id="none is known"),
        pytest.param(
            finding(cause("activation", Sigmoid=60)), with_layers(stack(None), "LSTM"), id="the gates of an LSTM"
        ),
        pytest.param(
            finding(cause("activation", Tanh=60), layers=("rnn",)), with_layers(stack("Tanh"), "RNN"), id="over time"
        ),
    ],
)
def test_does_not_apply(found, anatomy):
    assert RULE.weigh(found, anatomy) is None


def test_dead_relus_get_a_slope():
    dead = RULE.weigh(finding(cause("activation"), kind=Kind.DEAD_UNITS), stack("ReLU"))
    weak = RULE.weigh(finding(cause("activation")), stack("ReLU"))
    assert dead.title == weak.title == "LeakyReLU with He initialisation"
    assert dead.fit > weak.fit
