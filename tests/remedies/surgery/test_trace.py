"""What follows what, traced or not."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lightning_gradwatch.remedies.surgery.trace import Role, behind, flow, followers, origins
from tests.remedies.nets import Images, Named, Untraceable, sequential


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x, mask=None):
        self.seen = x
        x = F.gelu(self.first(x)).view(x.size(0), -1) if mask is None else x
        return x + F.silu(self.second(x))


class Counting(Sum):
    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def layers(model):
    return [step for step in flow(model) if step.role is Role.WEIGHTS]


def named(steps):
    return {step.name for step in steps}


def test_functions_are_steps():
    steps = flow(Named())
    assert [s.name for s in steps if s.role in (Role.WEIGHTS, Role.ACTIVATION)] == [
        "fc0", "sigmoid", "fc1", "sigmoid", "fc2", "sigmoid", "head",
    ]  # fmt: skip
    assert named(origins(layers(Named())[2])) == {"fc1"}


def test_sizes_are_no_data_and_sums_join():
    steps = {step.name: step for step in flow(Sum())}
    assert steps["add"].adds
    assert named(origins(steps["second"])) == {"first"}
    assert named(origins(steps["add"])) == {"first", "second"}
    assert named(followers(steps["first"])) == {"second"}
    assert steps["second"] in behind(steps["first"])


def test_tracing_leaves_no_trace():
    model = Counting()
    before, random = dict(model.__dict__), torch.get_rng_state()
    model.register_forward_hook(lambda *_: 1 / 0)
    flow(model)
    assert model.calls == 0
    assert not hasattr(model, "seen")
    assert model.__dict__.keys() == before.keys()
    assert torch.equal(torch.get_rng_state(), random)


def test_pooling_and_flattening_are_passed_through():
    found = layers(Images())
    assert [named(origins(step)) & {s.name for s in found} for step in found] == [
        set(), {"c1"}, {"c2"}, {"c3"}, {"c4"},
    ]  # fmt: skip


def test_order_of_registration_where_forward_cannot_be_traced():
    found = layers(Untraceable(2))
    assert [(step.name, step.parent) for step in found] == [("body.0", "body"), ("body.1", "body"), ("head", "")]
    assert [named(origins(step)) for step in found] == [set(), {"body.0"}, {"body.1"}]


def test_two_networks_in_one_are_not_joined():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator, self.critic = sequential(depth=1), sequential(depth=1)

    found = layers(Pair())
    assert [step.name for step in found] == ["generator.0", "generator.2", "critic.0", "critic.2"]
    assert not followers(found[1])


def test_what_forward_does_not_call_is_there_too():
    class Coder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = sequential(depth=1), sequential(depth=1)

        def forward(self, x):
            return self.encoder(x)

    assert [step.name for step in layers(Coder())] == ["encoder.0", "encoder.2", "decoder.0", "decoder.2"]


def test_what_torch_computes_by_itself_is_opaque():
    steps = flow(nn.Sequential(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), nn.Linear(8, 2)))
    assert [step.role for step in steps if step.module] == [Role.OPAQUE, Role.WEIGHTS]


def test_a_layer_called_twice_is_there_twice():
    layer = nn.Linear(4, 4)
    assert [step.name for step in layers(nn.Sequential(layer, nn.Tanh(), layer))] == ["0", "0"]
