"""Outputs of variance 1, beside the paper's loop."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.lsuv import equalise
from tests.remedies.surgery.networks import Branches

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


def mlp(depth=6):
    torch.manual_seed(0)
    return nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(4, 4), nn.Tanh())], nn.Linear(4, 2))


def layers(model):
    return [module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]


@torch.no_grad()
def by_the_paper(model, x):
    """Mishkin & Matas (2016), algorithm 1: layer by layer, with a whole forward pass for every look."""
    for layer in layers(model):
        for _ in range(10):
            seen = []
            handle = layer.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out))
            model(x)
            handle.remove()
            if abs(seen[0].var(correction=0) - 1) < 1e-9:
                break
            layer.weight /= seen[0].var(correction=0).sqrt()


@torch.no_grad()
def variances(model, x):
    seen = []
    handles = [
        layer.register_forward_hook(lambda _m, _i, out: seen.append(out.var(correction=0).item()))
        for layer in layers(model)
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return seen


def test_one_pass_is_the_papers_loop():
    model, x = mlp().double(), X.double()
    for layer in layers(model):
        nn.init.zeros_(layer.bias)
    twin = copy.deepcopy(model)
    by_the_paper(twin, x)
    assert len(equalise(model, layers(model), x)) == 7
    for layer, other in zip(layers(model), layers(twin), strict=True):
        assert torch.allclose(layer.weight, other.weight, rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (mlp(), X),
        (nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 2)), torch.randn(8, 1, 9, 9)),
        (Branches(), X),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), X),
    ],
    ids=["biases", "convolutions", "residual", "weight norm"],
)
@pytest.mark.parametrize("wanted", [1.0, 4.0])
def test_every_layer_has_the_variance(model, x, wanted):
    model = copy.deepcopy(model)
    equalise(model, layers(model), (x, None), wanted)
    assert variances(model, x) == pytest.approx([wanted] * len(layers(model)), rel=0.03)


def test_what_is_not_called_or_does_not_vary_is_told_apart():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    nn.init.zeros_(model[1].weight)
    spare = nn.Linear(4, 4)
    before = spare.weight.clone()
    assert equalise(model, [*layers(model), spare], X) == [model[0]]
    assert torch.equal(spare.weight, before)
    assert not model[1].weight.any()
    assert not model[0]._forward_hooks
