"""What is an output, a gate, a recurrence."""

from __future__ import annotations

import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.flow import Call, Way
from lightning_gradwatch.remedies.surgery.reading import read
from tests.remedies.surgery.networks import Image, Recurrence, Shared


def only(flow, module):
    uses = flow.uses(module)
    assert uses
    return uses


def test_an_output_is_followed_by_no_weights():
    model = Image()
    flow = read(model)
    assert flow.is_output(model.out)
    assert not flow.is_output(model.act)
    assert not flow.is_output(model.norm)


def test_what_channels_are_multiplied_with_is_a_gate_and_what_it_is_made_of_is_none():
    model = Image()
    flow = read(model)
    assert all(call.is_gate for _, call in only(flow, model.squeeze.fc[3]))
    assert not any(call.is_gate for _, call in only(flow, model.act))  # bounded, and multiplied by what comes from it
    assert not any(call.is_gate for _, call in only(flow, model.squeeze.fc[1]))


def test_two_bounded_ones_that_do_not_come_from_each_other_are_both_gates():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.open, self.new = nn.Linear(2, 2), nn.Linear(2, 2), nn.Sigmoid(), nn.Tanh()

        def forward(self, x):
            return torch.mul(self.open(self.a(x)), self.new(self.b(x)))

    model = Cell()
    assert all(call.is_gate for one in (model.open, model.new) for _, call in only(read(model), one))


def test_a_product_with_a_number_is_no_gate():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.act, self.b = nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)

        def forward(self, x):
            return self.b(1.7 * self.act(self.a(x)))

    model = Scaled()
    assert not any(call.is_gate for _, call in only(read(model), model.act))


def test_weights_that_are_met_again_are_a_recurrence():
    model = Recurrence()
    flow = read(model)
    assert any(way.recurs(call) for way, call in only(flow, model.act))
    shared = Shared()
    assert not any(way.recurs(call) for way, call in only(read(shared), shared.act))


def test_the_main_kind_leaves_outputs_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.ELU(), nn.Linear(2, 2), nn.Sigmoid())
    assert read(model).main_kind == "elu"
    assert read(nn.Linear(2, 2)).main_kind == ""


def test_by_hand():
    layer, owner, way = nn.Linear(1, 1), nn.Module(), Way()
    first = Call(layer, owner, frozenset(), weighted=True)
    act = Call(None, owner, way.add(first), kind="tanh")
    last = Call(None, owner, way.add(act), weighted=True)
    way.add(last)
    assert list(way.after(first)) == [act, last]
    assert list(way.before(last)) == [act, first]
    assert way.activation_after(first) is act
    assert way.activation_after(last) is None
    assert [way.is_last(call) for call in (first, act, last)] == [False, False, True]
