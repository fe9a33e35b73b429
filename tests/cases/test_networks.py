"""Builders: shapes, weights and the one thing that each argument changes."""

import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.cases.networks import Residual, cnn, initialize, mlp, recall

BUILDERS = {
    "mlp": mlp,
    "mlp-norm": lambda: mlp(depth=2, norm=True),
    "mlp-residual": lambda: mlp(depth=2, residual=True),
    "cnn": lambda: cnn(depth=2),
    "cnn-norm": lambda: cnn(depth=2, norm=True),
    "rnn": lambda: recall("rnn"),
    "lstm": lambda: recall("lstm", remember=True),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_maps_flat_digits_to_scores(build):
    assert build()(torch.zeros(3, 64)).shape == (3, 10)


# Standard deviation of a 64 -> 64 weight: torch draws U(-1/8, 1/8); Xavier sqrt(2/128); He sqrt(2/64).
@pytest.mark.parametrize(
    ("init", "std"),
    [("default", 1 / 8 / math.sqrt(3)), ("xavier", 0.125), ("he", 0.1768), (("normal", 0.01), 0.01)],
    ids=["default", "xavier", "he", "normal"],
)
def test_initialisation(init, std):
    torch.manual_seed(0)
    layer = mlp(depth=1, init=init)[0]
    assert float(layer.weight.detach().std()) == pytest.approx(std, rel=0.05)
    assert bool(layer.bias.any()) == (init == "default")


def test_initialize_reaches_every_layer_also_inside_blocks():
    network = nn.Sequential(Residual(nn.Linear(4, 4)), nn.Conv2d(1, 2, 3, bias=False))
    initialize(network, ("normal", 0.0))
    assert not any(parameter.any() for parameter in network.parameters())


def test_residual_adds():
    block = Residual(nn.Linear(2, 2))
    nn.init.eye_(block.block.weight)
    nn.init.zeros_(block.block.bias)
    assert block(torch.tensor([1.0, 2.0])).tolist() == [2.0, 4.0]


def test_residual_network_wraps_every_hidden_layer_but_the_first():
    kinds = [type(module).__name__ for module in mlp(depth=3, residual=True)]
    assert kinds == ["Linear", "Sigmoid", "Residual", "Residual", "Linear"]


def test_remembering_opens_the_forget_gates_alone():
    torch.manual_seed(0)
    plain = recall("lstm", width=4).recurrent.bias_ih_l0
    torch.manual_seed(0)
    open_ = recall("lstm", width=4, remember=True).recurrent.bias_ih_l0
    assert torch.sigmoid(open_[4:8]).tolist() == pytest.approx([1 - 1 / 48] * 4)
    assert torch.equal(torch.cat([open_[:4], open_[8:]]), torch.cat([plain[:4], plain[8:]]))


def test_recall_reads_rows_and_then_waits():
    seen = []
    network = recall("rnn", steps=10)
    network.recurrent.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = torch.arange(64.0).unsqueeze(0)
    network(x)
    assert seen[0].shape == (1, 10, 8)
    assert seen[0][0, 1].tolist() == list(range(8, 16))
    assert not seen[0][0, 8:].any()
