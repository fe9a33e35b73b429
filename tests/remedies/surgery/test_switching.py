"""An optimizer that becomes another in place."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn, optim

from lightning_gradwatch import SwitchOptimizer
from lightning_gradwatch.remedies.surgery.switching import KINDS, base_rate, hindrance, turn
from tests.remedies.optimizers import SCHEDULERS, step_schedule

RATES = {"adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "sgd": 1e-2}


def model():
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))


def groups(net):
    return [
        {"params": list(net[0].parameters()), "lr": 0.2, "weight_decay": 0.01},
        {"params": list(net[2].parameters()), "lr": 0.05},
    ]


def train(net, optimizer, steps=5, schedule=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rates = []
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(4, 3, generator=generator)).square().mean().backward()
        optimizer.step()
        if schedule is not None:
            step_schedule(schedule)
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("made", [optim.SGD, optim.Adagrad, optim.RAdam, optim.Rprop], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("to", KINDS)
def test_steps_as_one_that_was_made_so(made, to):
    """The twin is made by hand, from the same weights, at the same step."""
    net, twin = model(), model()
    optimizer = made(net.parameters(), lr=0.2)
    if made is KINDS[to]:
        return
    train(net, optimizer)
    twin.load_state_dict(net.state_dict())
    assert SwitchOptimizer(to, lr=0.03).apply(net, optimizer)
    by_hand = KINDS[to](twin.parameters(), lr=0.03, **({"momentum": 0.9} if to == "sgd" else {}), weight_decay=0)
    train(net, optimizer, seed=1)
    train(twin, by_hand, seed=1)
    assert all(
        torch.allclose(a, b, rtol=1e-6, atol=0) for a, b in zip(net.parameters(), twin.parameters(), strict=True)
    )
    assert type(optimizer) is KINDS[to]
    assert repr(optimizer).startswith(KINDS[to].__name__)


@pytest.mark.parametrize("to", ["adam", "adamw", "rmsprop"])
def test_groups_keep_the_ratio_of_their_rates_and_their_decay(to):
    net = model()
    optimizer = optim.SGD(groups(net), lr=0.2, maximize=True)
    held = optimizer.param_groups[0]
    SwitchOptimizer(to).apply(net, optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1e-3, 2.5e-4])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0]
    assert optimizer.param_groups[0] is held
    assert held["maximize"] is True
    assert "nesterov" not in held
    assert optimizer.defaults["eps"] == 1e-8


def test_between_adaptive_optimizers_the_rate_stays_and_adam_keeps_its_moments():
    net = model()
    optimizer = optim.Adam(net.parameters(), lr=0.02, weight_decay=0.1)
    train(net, optimizer)
    moments = {id(p): state["exp_avg"] for p, state in optimizer.state.items()}
    told = str(SwitchOptimizer("adamw").apply(net, optimizer))
    assert {id(p): state["exp_avg"] for p, state in optimizer.state.items()} == moments
    assert optimizer.param_groups[0]["lr"] == 0.02
    assert "AdamW's decay shrinks the weights by itself" in told
    SwitchOptimizer("rmsprop").apply(net, optimizer)
    assert not optimizer.state
    assert optimizer.param_groups[0]["lr"] == 0.02
    train(net, optimizer)


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in ("none", "ReduceLROnPlateau")])
def test_a_schedule_keeps_its_numbers_and_its_shape(name):
    """It writes the same rates as without the switch; the optimizer steps with a constant part of them."""
    net, plain = model(), model()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    other = optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    schedule, untouched = SCHEDULERS[name](optimizer), SCHEDULERS[name](other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*epoch parameter.*")  # of torch's own SequentialLR
        first = train(net, optimizer, 4, schedule)
        base = base_rate(optimizer)
        seen = []
        applied = SwitchOptimizer().apply(net, optimizer)
        optimizer.register_step_pre_hook(lambda one, *_: seen.append(one.param_groups[0]["lr"]))
        rest = train(net, optimizer, 8, schedule)
    assert first + rest == train(plain, other, 12, untouched)
    clean = [rates[0] for rates in (first + rest)[3:-1]]
    assert seen == pytest.approx([rate * 1e-3 / base for rate in clean])
    assert type(optimizer) is optim.Adam
    applied.undo()
    assert type(optimizer) is optim.SGD
    train(net, optimizer, 2, schedule)


def test_the_top_of_one_cycle_is_the_rate():
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=10, cycle_momentum=False)
    SwitchOptimizer(lr=0.01).apply(net, optimizer)
    seen = []
    optimizer.register_step_pre_hook(lambda one, *_: seen.append(one.param_groups[0]["lr"]))
    train(net, optimizer, 9, schedule)
    assert max(seen) == pytest.approx(0.01)


def test_a_schedule_that_moves_the_momentum_goes_on():
    net = model()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=10)
    SwitchOptimizer("sgd", lr=0.01).apply(net, optimizer)
    train(net, optimizer, 9, schedule)
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_a_rate_that_is_a_tensor_stays_that_tensor():
    net, rate = model(), torch.tensor(0.2)
    optimizer = optim.SGD(net.parameters(), lr=rate)
    SwitchOptimizer().apply(net, optimizer)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(1e-3)
    train(net, optimizer)


def test_fused_stays_fused_where_there_is_a_fused_one():
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.2, fused=True)
    turn(optimizer, "adam", None)
    assert optimizer.param_groups[0]["fused"]
    assert optimizer._step_supports_amp_scaling
    train(net, optimizer)
    turn(optimizer, "rmsprop", None)
    assert "fused" not in optimizer.param_groups[0]
    assert not hasattr(optimizer, "_step_supports_amp_scaling")
    train(net, optimizer)


def test_its_state_is_that_of_one_made_so():
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.2)
    SwitchOptimizer("adamw").apply(net, optimizer)
    train(net, optimizer)
    fresh = optim.AdamW(net.parameters(), lr=1.0)
    fresh.load_state_dict(optimizer.state_dict())
    assert fresh.param_groups[0].keys() == optimizer.param_groups[0].keys()


def mine(net):
    class Mine(optim.SGD):
        pass

    return Mine(net.parameters(), lr=0.1)


def exchanged(net):
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    optimizer.step = torch.no_grad()(optimizer.step)
    return optimizer


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda net: optim.LBFGS(net.parameters()), "LBFGS works in another way"),
        (mine, "Mine works in another way"),
        (exchanged, "The step of this SGD was exchanged"),
        (lambda net: optim.Adam(net.parameters()), "It is Adam already"),
    ],
    ids=["LBFGS", "a user's own", "exchanged", "same"],
)
def test_what_is_left_alone(make, says):
    net = model()
    optimizer = make(net)
    before = dict(optimizer.param_groups[0])
    applied = SwitchOptimizer().apply(net, optimizer)
    assert not applied
    assert applied.left[0].startswith(says)
    assert optimizer.param_groups[0] == before


def test_sparse_gradients_are_none_for_adam():
    net = nn.Sequential(nn.Embedding(4, 2, sparse=True), nn.Linear(2, 1))
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    assert hindrance(optimizer, net, "adam") == (
        "0 has sparse gradients, which Adam does not take: use SparseAdam for it."
    )
    assert hindrance(optim.Adagrad(net.parameters()), net, "sgd") == ""
