"""Optimizers after an edit."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.adoption import adopt
from tests.remedies.treatments import loader, loss_of, net, steps


def swapped(model, optimizers):
    """PReLUs in the places of the sigmoids, and the optimizers up to date."""
    before = dict(model.named_parameters())
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Sigmoid):
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, nn.PReLU())
    adopt(model, before, optimizers)


def names_in(model, group):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for parameter in group["params"]]


def test_in_the_order_of_the_network():
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    steps(model, optimizer, 2)
    swapped(model, [optimizer])
    assert names_in(model, optimizer.param_groups[0]) == [name for name, _ in model.named_parameters()]
    steps(model, optimizer, 2)
    fresh = torch.optim.Adam(model.parameters())  # as a resumed fit makes it
    fresh.load_state_dict(optimizer.state_dict())
    for parameter in model.parameters():
        assert torch.equal(fresh.state[parameter]["exp_avg"], optimizer.state[parameter]["exp_avg"])


def test_into_the_group_of_its_relatives():
    model = nn.ModuleDict({"a": net(1), "b": net(1)})
    groups = [{"params": list(model[key].parameters()), "lr": lr} for key, lr in (("b", 0.1), ("a", 0.2))]
    one, other = torch.optim.SGD(groups[:1]), torch.optim.SGD(groups[1:])
    swapped(model, [one, other])
    assert names_in(model, one.param_groups[0]) == ["b.0.weight", "b.0.bias", "b.1.weight", "b.2.weight", "b.2.bias"]
    assert names_in(model, other.param_groups[0]) == ["a.0.weight", "a.0.bias", "a.1.weight", "a.2.weight", "a.2.bias"]


def test_an_order_of_the_users_own_is_kept():
    model = net(1)
    optimizer = torch.optim.SGD(list(model.parameters())[::-1], lr=0.1)
    swapped(model, [optimizer])
    assert names_in(model, optimizer.param_groups[0]) == ["2.bias", "2.weight", "0.bias", "0.weight", "1.weight"]


def test_what_is_gone_and_its_state():
    model = net(1)
    optimizer = torch.optim.Adam(model.parameters())
    steps(model, optimizer, 1)
    old, before = list(model[0].parameters()), dict(model.named_parameters())
    model[0] = nn.Linear(4, 4)
    adopt(model, before, [optimizer])
    assert names_in(model, optimizer.param_groups[0]) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert not any(parameter in optimizer.state for parameter in old)
    assert len(optimizer.state) == 2


def test_frozen_and_tied_parameters_are_no_news():
    model = net(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = dict(model.named_parameters())
    model.add_module("frozen", nn.Linear(1, 1).requires_grad_(False))
    model.add_module("tied", model[0])
    adopt(model, before, [optimizer])
    assert len(optimizer.param_groups[0]["params"]) == 4


def test_parameters_that_no_optimizer_had_stay_without_one():
    """Somebody else's decision, made before."""
    model = net(1)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    adopt(model, dict(model.named_parameters()), [optimizer])
    assert names_in(model, optimizer.param_groups[0]) == ["2.weight", "2.bias"]


def test_without_optimizers_there_is_nothing_to_do():
    model = net(1)
    swapped(model, [])
    assert isinstance(model[1], nn.PReLU)


def test_names_in_groups_follow():
    model = net(1)
    try:
        optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1)
    except TypeError:
        pytest.skip("this torch knows no named groups")
    swapped(model, [optimizer])
    assert optimizer.param_groups[0]["param_names"] == [name for name, _ in model.named_parameters()]


def test_lbfgs_begins_anew():
    model, batch = net(1), next(iter(loader()))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        return loss

    optimizer.step(closure)
    swapped(model, [optimizer])
    before = closure().item()
    optimizer.step(closure)
    assert closure().item() < before
    assert optimizer._numel_cache == sum(p.numel() for p in model.parameters())
