"""Weights get the size that they should have, or had, and keep their direction."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from lightning_gradwatch.cases import CASES
from lightning_gradwatch.cases.networks import mlp, recall
from lightning_gradwatch.verify.interventions import rescaled_weights as weights
from tests.verify.proofs import Functional, scene, tried


def rms(tensor):
    return float(tensor.detach().square().mean().sqrt())


def turned(old, new):
    """Cosine of the angle between two tensors."""
    return float(cosine_similarity(old.detach().flatten(), new.detach().flatten(), dim=0))


@pytest.mark.parametrize(("activation", "size"), [("tanh", 1 / 8), ("relu", math.sqrt(2) / 8)])
def test_sizes_are_xaviers_or_hes_and_directions_stay(activation, size):
    network = mlp(4, activation=activation)
    known = scene(network)
    assert weights.to_initialisation(known).told().startswith("the weights of ")
    for old, new in list(zip(network, known.model, strict=True))[2:-1:2]:
        assert rms(new.weight) == pytest.approx(size, rel=1e-4)
        assert turned(old.weight, new.weight) > 0.9999
        assert torch.equal(old.bias, new.bias)


def test_convolutions_count_their_kernel():
    network = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip
    known = scene(network, layers=("1",))
    weights.to_initialisation(known)
    assert rms(known.model[3].weight) == pytest.approx(math.sqrt(2 / 144), rel=1e-4)


def test_only_the_way_down_to_the_worst_layer():
    network = Functional(torch.tanh, depth=4)
    known = scene(network, layers=("layers.2",))
    weights.to_initialisation(known)
    assert torch.equal(network.layers[1].weight, known.model.layers[1].weight)
    assert not torch.equal(network.layers[3].weight, known.model.layers[3].weight)


def test_weights_that_are_right_are_no_trial():
    network = mlp(4, activation="tanh", init="xavier")
    for layer in network[::2]:
        fans = sum(layer.weight.shape)
        with torch.no_grad():
            layer.weight.mul_(math.sqrt(2 / fans) / rms(layer.weight))
    assert weights.to_initialisation(scene(network)) is None


def test_recurrent_weights_that_are_far_too_large():
    network = recall("rnn")
    nn.init.normal_(network.recurrent.weight_hh_l0, std=0.3)
    network.recurrent.nonlinearity, network.recurrent.mode = "relu", "RNN_RELU"
    found = tried(network, "GW302", name="exploding_in_time:loss:recurrent", layers=("recurrent",))
    assert found.recovered > 0.9
    assert found.proof.endswith("decades are gone.")


def test_the_right_cause_brings_most_back_and_the_wrong_one_little():
    assert tried(CASES["tanh-small"].network(), "GW301").recovered > 0.9
    assert tried(CASES["relu-default"].network(), "GW301").recovered > 0.9
    assert tried(CASES["sigmoid-xavier"].network(), "GW301").recovered < 0.1
    assert tried(CASES["sigmoid-default"].network(), "GW301").recovered < 0.4


def test_saturated_units_open_again():
    found = tried(CASES["sigmoid-saturated"].network(), "GW302", name="saturation", layers=("2", "20"))
    assert found.recovered > 0.8
    assert "of its largest slope in place of" in found.proof


def test_constant_weights_are_drawn():
    network = mlp(4, activation="tanh", init="xavier")
    nn.init.zeros_(network[2].weight), nn.init.zeros_(network[4].weight)
    from lightning_gradwatch.records import Kind

    found = tried(network, "GW304", name="zero", kind=Kind.DISCONNECTED, layers=("0", "2"))
    assert found.recovered == 1.0
    assert found.proof.startswith("with only the constant weights of 2 layers drawn at random, the gradient arrives")
    assert weights.drawn(scene(mlp(2, activation="tanh"))) is None


def test_back_to_the_size_of_the_beginning():
    network = mlp(10, activation="tanh", init="xavier")
    sizes = {name: rms(value) for name, value in network.named_parameters() if name.endswith("weight")}
    with torch.no_grad():
        for layer in network[::2]:
            layer.weight.mul_(0.2)
    known = scene(network, beginning=sizes)
    assert weights.to_beginning(known).told() == "the 11 parameters rescaled to the size at the beginning"
    assert {n: rms(v) for n, v in known.model.named_parameters() if n in sizes} == pytest.approx(sizes, rel=1e-4)
    assert weights.to_beginning(scene(network)) is None, "nobody knows how it began"
    dead = scene(network, beginning=sizes, name="dead_units")
    assert weights.to_beginning(dead) is None, "it is not their size that killed units"


@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_weights_that_are_computed(norm):
    """Those that can be given another size are; else there is no trial: it would tell too little."""
    wrap = getattr(nn.utils.parametrizations, norm)
    network = nn.Sequential(*[m for _ in range(10) for m in (wrap(nn.Linear(64, 64)), nn.Tanh())], nn.Linear(64, 10))
    known = scene(network)
    change = weights.to_initialisation(known)
    if norm == "spectral_norm":
        assert change is None
        return
    assert change.told() == "the weights of 10 layers rescaled to Xavier's size"
    assert rms(known.model[2].weight) == pytest.approx(1 / 8, rel=1e-3)
    assert turned(network[2].weight, known.model[2].weight) > 0.9999
    assert tried(network, "GW301").recovered > 0.8
