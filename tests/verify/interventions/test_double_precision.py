"""Numbers that a narrow format ends at go on in float64."""

import torch
from torch import nn

from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.verify.interventions.double_precision import double_precision
from tests.verify.proofs import digits, scene, tried


def test_what_float16_ends_arrives_in_float64():
    x, y = digits()
    network = mlp(8, activation="tanh", init=("normal", 0.01)).half()
    found = tried(network, "GW701", (x.half(), y))
    assert found.recovered == 1.0
    assert "with only all numbers in float64, the gradient arrives" in found.proof


def test_a_copy_in_float32_of_a_fit_under_autocast_proves_nothing():
    assert double_precision(scene(mlp(8, activation="tanh", init=("normal", 0.01)))) is None
    assert tried(mlp(8, activation="tanh", init=("normal", 0.01)), "GW701").proof is None


def test_the_batch_goes_along():
    network = nn.Sequential(nn.Linear(64, 10)).to(torch.bfloat16)
    x, y = digits()
    change = double_precision(scene(network, (x.bfloat16(), y)))
    changed = change.batch((x.bfloat16(), y))
    assert changed[0].dtype is torch.float64
    assert changed[1] is y
