"""Larger steps for layers that lag, against a slow twin."""

import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.step_boost import StepBoost, boosts_of
from tests.remedies.treatments import net, steps


def test_boosts_by_hand():
    ratios = {"a": 1e-4, "b": 1e-2, "c": 1e-1}
    assert boosts_of(ratios, 1.0, 1000.0) == pytest.approx({"a": 100.0, "b": 1.0, "c": 1.0})
    assert boosts_of(ratios, 0.5, 1000.0) == pytest.approx({"a": 10.0, "b": 1.0, "c": 1.0})
    assert boosts_of(ratios, 1.0, 7.0)["a"] == 7.0
    assert boosts_of({"a": 0.0, "b": 0.0}, 1.0, 7.0) == {"a": 1.0, "b": 1.0}


def boosted(model, optimizer, window=3, most=100.0):
    layers = {str(i): list(part.parameters()) for i, part in enumerate(model) if list(part.parameters())}
    boost = StepBoost("told", layers, 1.0, most, window)
    boost.attach(optimizer)
    return boost


def slow(model, optimizer, count, window):
    """The same in float64, step by step and number by number."""
    layers = {str(i): list(part.parameters()) for i, part in enumerate(model) if list(part.parameters())}
    boosts, ratios = dict.fromkeys(layers, 1.0), {name: [] for name in layers}
    for step in range(count):
        before = {name: [p.detach().clone() for p in own] for name, own in layers.items()}
        steps(model, optimizer, 1)
        for name, own in layers.items():
            moved = [(new.detach() - old).double() for new, old in zip(own, before[name], strict=True)]
            size = math.sqrt(sum(float((old.double() ** 2).sum()) for old in before[name]))
            ratios[name].append(math.sqrt(sum(float((move**2).sum()) for move in moved)) / size)
            for parameter, old, move in zip(own, before[name], moved, strict=True):
                parameter.data = (old.double() + boosts[name] * move).float()
        if (step + 1) % window == 0:
            mean = {name: sum(values) / window for name, values in ratios.items()}
            middle = sorted(mean.values())[len(mean) // 2]
            boosts = {name: max(1.0, min(100.0, middle / ratio)) for name, ratio in mean.items()}
            ratios = {name: [] for name in layers}
    return boosts


@pytest.mark.parametrize("kind", ["SGD", "Adam", "RMSprop"])
def test_as_its_slow_twin(kind):
    models = [net(4), net(4)]
    optimizers = [getattr(torch.optim, kind)(model.parameters(), lr=0.01) for model in models]
    boost = boosted(models[0], optimizers[0])
    torch.manual_seed(0)
    for _ in range(8):
        steps(models[0], optimizers[0], 1)
    torch.manual_seed(0)
    told = slow(models[1], optimizers[1], 8, window=3)
    assert boost.boosts == pytest.approx(told, rel=1e-3)
    assert max(told.values()) > 1.2
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_first_window_is_the_optimizers_own():
    models = [net(4), net(4)]
    for place, model in enumerate(models):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        if place:
            boosted(model, optimizer, window=6)
        torch.manual_seed(0)
        steps(model, optimizer, 5)
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


def test_goes_on_from_its_state():
    model = net(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    boost = boosted(model, optimizer)
    steps(model, optimizer, 4)
    other = boosted(net(4), optimizer)
    other.load_state_dict(boost.state_dict())
    assert other.state_dict() == boost.state_dict()
    assert boost.state_dict()["steps"] == 4
    other.load_state_dict({})
    assert other.state_dict()["steps"] == 0


def test_lets_go():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    boosted(model, optimizer).detach()
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_a_layer_of_zeros_is_not_divided_by():
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    model = nn.Sequential(layer, nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    boost = boosted(model, optimizer, window=1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert boost.boosts == {"0": 1.0, "1": 1.0}
