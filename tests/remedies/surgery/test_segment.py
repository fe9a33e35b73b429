"""From one layer's input to the next layer's, whatever lies between."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.segment import Segment, bypassed, calls


class Functional(nn.Module):
    """Activations as functions, a norm registered elsewhere, layers registered in another order."""

    def __init__(self, skip=None):
        super().__init__()
        self.head, self.second, self.first = nn.Linear(4, 2), nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm, self.skip = nn.BatchNorm1d(4), skip

    def forward(self, x):
        one = torch.tanh(self.first(x))
        two = self.norm(self.second(one)).relu_()
        if self.skip == "sum":
            two = two + one
        if self.skip == "input":
            two = two + x
        if self.skip == "joined":
            two = torch.cat([two[:, :2], one[:, :2]], 1)
        return self.head(two)


X = torch.randn(6, 4)


def test_order_is_that_of_computing():
    net = Functional()
    assert list(calls(net, X)) == [net.first, net.second, net.head]
    twice = nn.Sequential(net.first, net.first, net.head)
    assert calls(twice, X) == {net.first: 2, net.head: 1}


def test_the_stretch_with_its_functions_and_norm():
    net = Functional()
    with Segment(net, net.second, lambda x: x + 1) as segment:
        code = segment.run(X)
    clean = torch.tanh(net.first(X))
    assert torch.equal(segment.input, clean)
    assert not segment.input.requires_grad
    assert segment.follower is net.head
    assert torch.allclose(code, net.norm(net.second(clean + 1)).relu())
    every = [*net.parameters()]
    taught = torch.autograd.grad(code.square().sum(), every, allow_unused=True)
    names = {name for (name, _), gradient in zip(net.named_parameters(), taught, strict=True) if gradient is not None}
    assert names == {"second.weight", "second.bias", "norm.weight", "norm.bias"}


def test_leaves_no_hook_and_no_mode_behind():
    net = Functional()
    with Segment(net, net.first, lambda x: x) as segment:
        segment.run(X)
    bypassed(net, X, net.first, net.second)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.is_grad_enabled()


def test_the_last_layer_has_nobody_behind_it():
    net = Functional()
    with Segment(net, net.head, lambda x: x) as segment:
        assert segment.run(X) is None


@pytest.mark.parametrize("skip", [None, "sum", "input", "joined"])
def test_sees_a_way_around_a_layer(skip):
    net = Functional(skip)
    assert not bypassed(net, X, net.first, net.second)
    assert bypassed(net, X, net.second, net.head) is (skip is not None)


def test_user_code_that_catches_errors_does_not_stop_the_end():
    class Careful(Functional):
        def forward(self, x):
            try:
                return super().forward(x)
            except Exception:
                return x

    net = Careful()
    with Segment(net, net.first, lambda x: x) as segment:
        assert torch.equal(segment.run(X), torch.tanh(net.first(X)))
