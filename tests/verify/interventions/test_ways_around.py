"""A way around every layer, or half of the layers."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.verify.interventions.ways_around import ways_around
from tests.verify.proofs import Functional, digits, scene, tried


def test_each_layer_gets_what_the_layer_before_was_given_too():
    network = Functional(torch.tanh, depth=3)
    known, x = scene(network, layers=("layers.0",)), digits()[0]
    change = ways_around(known)
    made = known.model(x)
    for layer in network.layers:
        x = x + torch.tanh(layer(x))
    assert torch.allclose(made, network.head(x), atol=1e-5)
    assert change.told() == "a skip connection added around 3 layers"


def test_where_shapes_differ_there_is_none():
    network = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 10))
    known, x = scene(network), digits()[0]
    change = ways_around(known)
    assert torch.equal(known.model(x), network(x))
    assert change.told() == ""
    assert tried(network, "GW201").proof is None


def test_one_layer_has_nothing_around_it():
    assert ways_around(scene(nn.Sequential(nn.Linear(64, 10)))) is None


TWINS = {
    "modules": lambda: mlp(40, activation="tanh", init=("normal", 0.07)),
    "functions": lambda: Functional(torch.tanh, 40, 0.07),
}


@pytest.mark.parametrize("make", TWINS.values(), ids=TWINS)
def test_depth_is_proved_for_modules_and_functions_alike(make):
    found = tried(make(), "GW201", layers=())
    assert found.recovered > 0.9
    assert found.proof.startswith("with only a skip connection added around 40 layers, ")


def test_half_as_many_layers_grow_half_as_much():
    network = mlp(40, activation="relu", init=("normal", 0.25))
    found = tried(network, "GW202", name="exploding:loss")
    assert 0.35 < found.recovered < 0.65
    assert "20 layers left out" in found.proof
    assert found.proof.endswith("decades are gone.")
