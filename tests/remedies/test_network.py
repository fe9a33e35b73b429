"""What is known of a network from its modules and from the evidence."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_gradwatch.anatomy.inspect import inspect_model
from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.records import Anatomy, Layer
from lightning_gradwatch.remedies.network import (
    activations,
    loss_behind_relu,
    main_activation,
    spreads,
    through_time,
    wanted_std,
)
from tests.remedies.findings import HE, cause, finding, layer, stack, with_layers

NOTHING = finding()


@pytest.mark.parametrize(
    ("found", "anatomy", "main"),
    [
        pytest.param(NOTHING, stack("LeakyReLU"), "leakyrelu", id="modules"),
        pytest.param(finding(cause("activation", Tanh=3)), stack(None), "tanh", id="functions"),
        pytest.param(finding(cause("activation", Tanh=3, Sigmoid=9)), stack("ReLU"), "sigmoid", id="evidence wins"),
        pytest.param(finding(cause("activation", PreluKernel=3)), stack(None), "prelu", id="torch's name of PReLU"),
        pytest.param(finding(cause("activation", Hardtanh=9)), stack("ReLU6"), "relu6", id="torch's way to ReLU6"),
        pytest.param(finding(cause("activation", Relu=0)), stack("Tanh"), "tanh", id="a count of 0"),
        pytest.param(finding(cause("activation", Relu=math.nan)), stack("Tanh"), "tanh", id="a count that is none"),
        pytest.param(finding(cause("depth", Addmm=9)), stack(None), None, id="none"),
        pytest.param(NOTHING, stack("Softmax"), None, id="no activation of a hidden layer"),
    ],
)
def test_main_activation(found, anatomy, main):
    assert main_activation(found, anatomy) == main


def test_an_output_sigmoid_is_outvoted():
    relu = stack("ReLU", depth=3)
    both = Anatomy(layers=relu.layers, activations=(*relu.activations, ("out", "Sigmoid")))
    assert activations(NOTHING, both) == {"relu": 3, "sigmoid": 1}
    assert main_activation(NOTHING, both) == "relu"


def test_spreads_are_medians():
    layers = tuple(layer(str(i), std=std) for i, std in enumerate([0.1, 0.2, 0.9]))
    assert spreads(Anatomy(layers=layers), "Xavier") == (0.2, pytest.approx(0.125))
    assert spreads(Anatomy(layers=(layer("0", std=None),)), "He") is None
    assert wanted_std(Layer(name="0", type="L", family="other", parameters=1, trainable=True), "He") is None


@pytest.mark.parametrize(
    ("std", "decades"),
    [
        pytest.param(HE, 0.0, id="He loses nothing"),
        pytest.param(64**-0.5 * 2**0.5 / 10, 19.0, id="a tenth of He: one decade a layer"),
    ],
)
def test_loss_behind_relu_by_hand(std, decades):
    square = Anatomy(layers=tuple(layer(str(i), std=std) for i in range(20)))
    assert loss_behind_relu(square) == pytest.approx(decades, abs=1e-2)


@pytest.mark.parametrize("stds", [(), (0.1,), (0.1, 0.0), (None, None)], ids=str)
def test_loss_behind_relu_is_unknown(stds):
    assert loss_behind_relu(Anatomy(layers=tuple(layer(str(i), std=s) for i, s in enumerate(stds)))) is None


@pytest.mark.parametrize("init", ["default", "he"])
def test_loss_behind_relu_is_what_a_relu_network_loses(init):
    torch.manual_seed(0)
    network = mlp(activation="relu", init=init)
    x = torch.randn(256, 64)
    first = network[0](x)
    logits = network[1:](first)
    # independent gradients at the head: what the formula assumes
    (at_first,) = torch.autograd.grad(logits, first, torch.randn_like(logits))
    lost = -math.log10(float(at_first.norm())) + math.log10(2560**0.5)
    assert loss_behind_relu(inspect_model(network)) == pytest.approx(lost, abs=0.8)


def test_over_time():
    recurrent = with_layers(stack(), "RNN")
    assert through_time(finding(layers=("rnn", "0")), recurrent)
    assert not through_time(finding(layers=("0", "rnn")), recurrent)
    assert not through_time(finding(layers=()), recurrent)
