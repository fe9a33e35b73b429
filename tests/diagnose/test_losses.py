import math

import pytest

from lightning_gradwatch.diagnose.losses import GAIN, MILD, split
from lightning_gradwatch.records import Anatomy, Layer
from tests.reference.records import chain


def layer(name, fan_in=64, fan_out=64):
    facts = {"fan_in": fan_in, "fan_out": fan_out, "weight_std": 0.1}
    return Layer(name=name, type="Linear", family="linear", parameters=1, trainable=True, **facts)


def test_hand_worked():
    """Ten sigmoids at -0.6 and ten linears at -0.2: 5.5 + 1.5 decades beyond 0.05 each, 1.0 of depth."""
    losses = split(chain(*[-0.6] * 10, linear=-0.2), "net.0", Anatomy())
    assert losses.activation == pytest.approx(10 * (0.6 - MILD))
    assert losses.weights == pytest.approx(10 * (0.2 - MILD))
    assert losses.depth == pytest.approx(20 * MILD)
    assert losses.total == pytest.approx(8.0)
    assert (losses.activations, losses.layers) == ((("Sigmoid", 10),), 11)


def test_parts_and_gains_add_up_to_the_whole():
    losses = split(chain(*[-0.6] * 10, linear=-0.2), "net.0", Anatomy())
    assert losses.activation + losses.weights + losses.depth == pytest.approx(losses.total)


def test_relu_is_not_charged_for_the_half_that_he_gives_back():
    losses = split(chain(*[-GAIN["Relu"]] * 10, activation="Relu"), "net.0", Anatomy())
    assert losses.activation == 0.0
    assert losses.weights == pytest.approx(10 * (GAIN["Relu"] - MILD))  # weights at gain 1 lack He's


def test_shapes_are_no_fault_of_the_weights():
    """64 -> 10 classes: even Xavier's weights pass sqrt(2 * 10 / 74) of the gradient."""
    fair = 0.5 * math.log10(20 / 74)
    ledger = chain(-0.6, linear=fair)
    assert split(ledger, "net.0", Anatomy(layers=(layer("head", 64, 10),))).weights == 0.0
    assert split(ledger, "net.0", Anatomy(layers=(layer("head", 64, 64),))).weights > 0.2


def test_only_the_way_to_that_layer_counts():
    ledger = chain(-0.6, -0.6, -0.6)
    assert split(ledger, "net.1", Anatomy()).total == pytest.approx(1.2)


def test_an_underflow_is_explained_by_the_way_down_to_it():
    ledger = chain(*[-0.6] * 8, -math.inf, 0.0)
    losses = split(ledger, "net.0", Anatomy())
    assert losses.total == pytest.approx(4.8)
    assert math.isfinite(losses.activation)


def test_slopes_are_averaged_and_may_be_unknown():
    assert split(chain(-0.6), "net.0", Anatomy()).slope == 0.5
    assert split(chain(), "head", Anatomy()).slope is None
