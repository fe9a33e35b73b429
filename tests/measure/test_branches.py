import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.branches import starved_branch
from lightning_gradwatch.measure.parameters import owned_by
from lightning_gradwatch.measure.step import StepMeter
from lightning_gradwatch.records import Frame
from tests.reference import twins


def chain(depth, activation):
    return [m for _ in range(depth) for m in (nn.Linear(8, 8), activation())]


class TwoBranches(nn.Module):
    """A deep healthy branch, which the main ledger follows, and a shallower one that is sick."""

    def __init__(self):
        super().__init__()
        self.deep = nn.Sequential(*chain(14, nn.Identity))
        for layer in self.deep[::2]:
            nn.init.orthogonal_(layer.weight)
        self.sick = nn.Sequential(*chain(6, nn.Sigmoid))
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        return self.head(torch.cat([self.deep(x), self.sick(x)], 1))


class Residual(nn.Module):
    """Blocks on a residual stream, one of which lets nothing back."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(8, 8), nn.Linear(8, 1)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)) for _ in range(4))
        with torch.no_grad():
            self.blocks[2][0].weight.mul_(1000)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


def frames(net, count=2):
    torch.manual_seed(1)
    previous, optimizer, found = None, torch.optim.SGD(net.parameters(), lr=1e-6), []
    for step in range(count):
        meter = StepMeter(parameter_names(net), previous=previous)
        loss = net(torch.randn(32, 8)).square().mean()
        meter.backward_begins(loss.grad_fn, loss.detach(), 1.0)
        optimizer.zero_grad()
        loss.backward()
        meter.backward_ends()
        meter.optimizer(0).begins(lambda meter=meter: owned_by(optimizer, 0, meter.names), 1.0, 1)
        optimizer.step()
        meter.optimizer(0).ends()
        read = meter.finish()
        previous = Frame(
            step=step,
            global_step=step,
            epoch=0,
            batch=step,
            loss=read.loss,
            ledgers=read.ledgers,
            branches=read.branches,
            parameters=read.parameters,
        )
        found.append(previous)
    return found


def test_the_first_measured_step_knows_of_no_branch():
    assert starved_branch(None, "loss", {"a.weight"}) is None
    assert frames(TwoBranches(), 1)[0].branches == ()


def test_a_shallower_branch_that_is_sick():
    torch.manual_seed(0)
    net = TwoBranches()
    first, second = frames(net)
    assert [ledger.target_layer for ledger in first.ledgers] == ["deep.0"]
    [branch] = second.branches
    assert (branch.name, branch.target, branch.target_layer) == ("loss", "sick.0.weight", "sick.0")
    assert branch.decades < second.ledgers[0].decades - 2


def test_its_end_is_the_gradient_at_the_sick_layer():
    torch.manual_seed(0)
    net = TwoBranches()
    _, second = frames(net)
    torch.manual_seed(1)
    torch.randn(32, 8)
    x = torch.randn(32, 8)  # the second batch
    twin = twins.gradients_at(net, ["sick.0"], lambda net: net(x).square().mean())
    assert second.branches[0].end == pytest.approx(math.log10(twin["sick.0"]), abs=1e-3)


def test_a_sick_block_on_a_residual_stream():
    torch.manual_seed(0)
    net = Residual()
    [branch] = frames(net)[1].branches
    assert branch.target_layer == "blocks.2.0"


def test_healthy_networks_pay_for_no_second_ledger():
    torch.manual_seed(0)
    net = Residual()
    with torch.no_grad():
        net.blocks[2][0].weight.div_(1000)
    assert frames(net)[1].branches == ()
    assert frames(nn.Sequential(*chain(20, nn.Sigmoid), nn.Linear(8, 1)))[1].branches == ()  # all of it is trunk


def test_only_what_the_loss_reaches_and_only_by_its_own_ledger():
    torch.manual_seed(0)
    frame = frames(TwoBranches())[1]
    assert starved_branch(frame, "loss", {"sick.0.weight"}) == "sick.0.weight"
    assert starved_branch(frame, "loss", {"sick.2.weight"}) == "sick.2.weight"
    assert starved_branch(frame, "loss", {"deep.0.weight"}) is None
    assert starved_branch(frame, "loss[1]", {"sick.0.weight"}) is None
