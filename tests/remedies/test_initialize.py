"""Which weights, for which activation."""

from __future__ import annotations

import pytest

from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.initialize import Initialize
from tests.remedies.findings import HE, XAVIER, cause, finding, stack, with_layers

RULE = Initialize()
FOUND = finding(cause("initialization"))
HE_CALL, XAVIER_CALL = 'nn.init.kaiming_normal_(w, nonlinearity="relu")', "nn.init.xavier_normal_(w)"


@pytest.mark.parametrize(
    ("activation", "call", "scale"),
    [
        ("ReLU", HE_CALL, "0.18"),
        ("LeakyReLU", HE_CALL, "0.18"),
        ("GELU", HE_CALL, "0.18"),
        ("Tanh", XAVIER_CALL, "0.12"),
        ("Sigmoid", XAVIER_CALL, "0.12"),
        ("SELU", XAVIER_CALL, "0.12"),  # of a square layer, the LeCun scale that SELU is made for
    ],
)
def test_by_the_activation(activation, call, scale):
    advice = RULE.weigh(FOUND, stack(activation))
    assert call in advice.advice
    assert "Adam" in advice.advice
    assert f"a standard deviation of {scale} where these weights have 0.072" in advice.reason


@pytest.mark.parametrize(
    ("found", "title"),
    [
        pytest.param(finding(cause("initialization"), **{"short of He initialisation": 7.4}), "He", id="He"),
        pytest.param(FOUND, "Xavier", id="nothing said"),
    ],
)
def test_the_scheme_of_the_diagnosis_counts_where_no_activation_is_seen(found, title):
    assert RULE.weigh(found, stack(None)).title == f"{title} initialisation"


@pytest.mark.parametrize(
    ("activation", "std", "applies"),
    [("ReLU", HE, False), ("Tanh", XAVIER, False), ("Tanh", HE, True), ("ReLU", None, True), ("ReLU", 0.0, True)],
)
def test_weights_that_have_the_scale_already_are_left(activation, std, applies):
    assert (RULE.weigh(FOUND, stack(activation, std=std)) is not None) is applies


def test_new_weights_do_not_cure_sigmoids():
    found = finding(cause("activation", 0.4, Sigmoid=19), cause("initialization", 0.6))
    assert RULE.weigh(found, stack("Sigmoid", std=0.01)).fit == pytest.approx(0.95 * 0.6)
    assert prescribe(found, stack("Sigmoid", std=0.01))[0].name != "Initialize"


def test_new_weights_cure_tanhs():
    found = finding(cause("activation", 0.1, Tanh=19), cause("initialization", 0.9))
    assert RULE.weigh(found, stack("Tanh", std=0.01)).fit == 0.95


def test_a_loss_over_time_is_not_cured_by_the_linear_layers():
    assert RULE.weigh(finding(cause("initialization"), layers=("rnn",)), with_layers(stack("ReLU"), "RNN")) is None


def test_biases_may_kill_units_behind_weights_of_the_right_scale():
    said = RULE.weigh(finding(cause("initialization"), kind=Kind.DEAD_UNITS), stack("ReLU", std=HE))
    assert said.advice.endswith("biases 0.")
