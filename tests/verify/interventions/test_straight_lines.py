"""Activations become lines, however they are written, and nothing else does."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lightning_gradwatch.cases import CASES
from lightning_gradwatch.verify.interventions.straight_lines import _LINES, straight_lines
from tests.verify.proofs import Functional, digits, finding, scene, tried

WAYS = {
    "module": nn.Sigmoid(),
    "torch.sigmoid": torch.sigmoid,
    "functional": functional.sigmoid,
    "method": lambda x: x.sigmoid(),
    "in place": lambda x: x.sigmoid_(),
    "in place, by torch": torch.sigmoid_,
    "not given back": lambda x: (x.sigmoid_(), x)[1],
}


@pytest.mark.parametrize("act", WAYS.values(), ids=WAYS)
def test_however_it_is_written_the_same_comes_back(act):
    torch.manual_seed(0)
    found = tried(Functional(act, depth=10), "GW101", layers=("layers.0",))
    assert "10 activations replaced by straight lines" in found.proof
    torch.manual_seed(0)
    module = tried(Functional(nn.Sigmoid(), depth=10), "GW101", layers=("layers.0",))
    assert found.recovered == pytest.approx(module.recovered, abs=1e-4)
    assert 0.6 < found.recovered < 0.8


NAMED = {
    "relu": functional.relu,
    "relu in place": lambda x: functional.relu(x, inplace=True),
    "gelu": functional.gelu,
    "silu": nn.SiLU(),
    "elu": functional.elu,
    "leaky_relu": nn.LeakyReLU(),
    "prelu": nn.PReLU(),
    "hardtanh": nn.Hardtanh(),
    "relu6": nn.ReLU6(),
    "hardsigmoid": nn.Hardsigmoid(),
    "softplus": nn.Softplus(),
    "mish": nn.Mish(),
    "logsigmoid": nn.LogSigmoid(),
    "hardswish": nn.Hardswish(),
    "selu": nn.SELU(),
    "celu": nn.CELU(),
}


@pytest.mark.parametrize("act", NAMED.values(), ids=NAMED)
def test_every_activation_that_the_ledger_knows_by_name(act):
    known = scene(Functional(act, depth=3))
    change, x = straight_lines(known), digits()[0]
    with change.around:
        made = known.model(x)
    assert change.told() == "3 activations replaced by straight lines"
    weight = torch.eye(64)
    for layer in known.model.layers:
        weight = layer.weight @ weight
    slope = torch.autograd.functional.jacobian(lambda v: made_by(known, change, v), x[0])
    assert torch.allclose(slope, known.model.head.weight @ weight, atol=1e-5), "a product of weights and nothing else"
    assert made.shape == (64, 10)


def made_by(known, change, value):
    with change.around:
        return known.model(value)


def test_the_line_goes_through_the_value_at_zero():
    for name, (_, value) in _LINES.items():
        act = functional.logsigmoid if name == "log_sigmoid" else getattr(functional, name)
        more = (torch.tensor(0.25),) if name == "prelu" else ()
        assert float(act(torch.zeros(1), *more)) == pytest.approx(value, abs=1e-4)


def test_a_sigmoid_in_the_loss_is_left_alone():
    network = nn.Sequential(Functional(torch.sigmoid, depth=10), nn.Sigmoid())
    wanted = functional.one_hot(digits()[1], 10).float()
    batch = (digits()[0], wanted)
    found = tried(network, "GW101", batch, lambda out, b: functional.binary_cross_entropy(out, b[1]), layers=())
    assert "10 activations" in found.proof
    assert found.recovered > 0.6


def test_gates_and_other_operations_are_left_alone():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(4))
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(layer(x))
                x = x * torch.sigmoid(x)
            return self.head(x)

    known = scene(Gated())
    change = straight_lines(known)
    with change.around:
        known.model(digits()[0])
    assert change.told() == "4 activations replaced by straight lines", "the tanhs: a gate is not on the trunk"


def test_nothing_to_replace_is_no_trial():
    assert straight_lines(scene(nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 10)))) is None


def test_of_dead_and_saturated_units_there_is_nothing_to_try():
    from lightning_gradwatch.records import Kind
    from lightning_gradwatch.verify.interventions import intervention

    for name, kind in (("saturation", Kind.SATURATION), ("dead_units", Kind.DEAD_UNITS)):
        found = finding("GW102", name=name, kind=kind)
        assert intervention(found.causes[0], found) is None
    found = finding("GW102")
    assert intervention(found.causes[0], found) is straight_lines


def test_the_wrong_cause_brings_little():
    assert tried(CASES["tanh-small"].network(), "GW101").recovered < 0.2
