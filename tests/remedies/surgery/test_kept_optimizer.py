"""Optimizers come back as they were, and what others hold of them is still the right thing."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.kept_optimizer import KeptOptimizer
from tests.remedies.treatments import loader, loss_of, net, steps

MAKERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "Adam, rate as a tensor": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.01)),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True),
}


def told(optimizer):
    return repr(optimizer.state_dict()), type(optimizer), sorted(optimizer.__dict__)


@pytest.mark.parametrize("name", MAKERS)
def test_groups_state_class_and_attributes(name):
    model = net()
    optimizer = MAKERS[name](model.parameters())
    steps(model, optimizer, 3)
    before, group, held = told(optimizer), optimizer.param_groups[0], optimizer.param_groups[0]["params"]
    kept = KeptOptimizer.of(optimizer)
    steps(model, optimizer, 2)
    optimizer.__class__ = torch.optim.AdamW
    optimizer.own_idea = 3
    group["lr"], group["new"] = 7.0, 1
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    held.pop()
    kept.restore()
    assert told(optimizer) == before
    assert optimizer.param_groups[0] is group
    assert optimizer.param_groups[0]["params"] is held


def test_a_rate_that_is_a_tensor_stays_that_tensor():
    rate = torch.tensor(0.01)
    optimizer = torch.optim.Adam(net().parameters(), lr=rate)
    kept = KeptOptimizer.of(optimizer)
    optimizer.param_groups[0]["lr"] = torch.tensor(5.0)
    rate.fill_(3.0)
    kept.restore()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.01)


def test_lbfgs_keeps_its_own_list_of_parameters():
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)
    batch = next(iter(loader()))

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        return loss

    optimizer.step(closure)
    done, kept = optimizer.state[optimizer._params[0]]["n_iter"], KeptOptimizer.of(optimizer)
    optimizer.step(closure)
    kept.restore()
    assert optimizer._params is optimizer.param_groups[0]["params"]
    assert optimizer.state[optimizer._params[0]]["n_iter"] == done > 0
    optimizer.step(closure)


def test_hooks_of_its_saving_too():
    optimizer = torch.optim.SGD(net().parameters(), lr=0.1)
    mine = optimizer.register_state_dict_post_hook(lambda opt, state: None)
    kept = KeptOptimizer.of(optimizer)
    optimizer.register_step_post_hook(lambda *_: None)
    kept.hooks.settle()
    kept.restore()
    assert not optimizer._optimizer_step_post_hooks
    mine.remove()
    assert not optimizer._optimizer_state_dict_post_hooks
