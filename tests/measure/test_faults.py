"""Where the first number that is not finite came from, by step of a meter: one broken operation at a time."""

import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.parameters import owned_by
from lightning_gradwatch.measure.step import StepMeter


class Net(nn.Module):
    """Two layers with something between them, and something behind."""

    def __init__(self, between=torch.tanh, behind=lambda output: output):
        super().__init__()
        self.first, self.head = nn.Linear(4, 5), nn.Linear(5, 3)
        self.between, self.behind = between, behind

    def forward(self, x):
        return self.behind(self.head(self.between(self.first(x))))


def fault(net, x=None, loss_of=lambda output: output.square().mean()):
    torch.manual_seed(0)
    meter = StepMeter(parameter_names(net))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loss = loss_of(net(torch.randn(9, 4) if x is None else x))
    meter.backward_begins(loss.grad_fn, loss.detach(), 1.0)
    loss.backward()
    meter.backward_ends()
    meter.optimizer(0).begins(lambda: owned_by(optimizer, 0, meter.names), 1.0, 1)
    read = meter.finish()
    return read.fault and (read.fault.layer, read.fault.operation, read.fault.forward, read.fault.operand)


def test_healthy_steps_have_none():
    assert fault(Net()) is None
    assert fault(Net(lambda h: torch.log(h.exp() + 1))) is None


FORWARD = {
    "log of zero": (lambda h: torch.log(torch.relu(h)), ("first", "Log", True, 0.0)),
    "division by zero": (lambda h: h / torch.relu(h), ("first", "Div", True, 0.0)),
    "one over zero": (lambda h: torch.relu(h).reciprocal(), ("first", "Reciprocal", True, 0.0)),
    "root below zero": (torch.sqrt, ("first", "Sqrt", True, None)),
    "overflow of exp": (lambda h: torch.exp(1000 * h), ("first", "Exp", True, None)),
    "rsqrt at zero": (lambda h: torch.rsqrt(torch.relu(h)), ("first", "Rsqrt", True, 0.0)),
    "power of zero": (lambda h: torch.relu(h) ** -1.5, ("first", "Pow", True, 0.0)),
}


@pytest.mark.parametrize(("between", "expected"), FORWARD.values(), ids=FORWARD)
def test_first_operation_of_the_forward_pass(between, expected):
    assert fault(Net(between)) == expected


def test_the_operand_is_the_one_that_it_could_not_take():
    assert fault(Net(lambda h: torch.acos(3 + 0 * h)))[1:] == ("Acos", True, 3.0)
    found = fault(Net(lambda h: torch.log(h - 7)))
    assert found[:3] == ("first", "Log", True)
    assert found[3] < -1


def positive(h):
    """As ReLU, whose own derivative takes what comes as 0 and would hide an infinity."""
    return h * (h > 0)


BACKWARD = {
    "root at zero": (lambda h: torch.sqrt(positive(h)), ("first", "Sqrt", False, 0.0)),
    "power at zero": (lambda h: positive(h) ** 0.5, ("first", "Pow", False, 0.0)),
    "a hidden log": (
        lambda h: torch.where(h > 0, torch.log(positive(h)), 0.0),
        ("first", "Log", False, 0.0),
    ),
    "a hidden division": (
        lambda h: torch.where(h > 0, h / positive(h), 0.0),
        ("first", "Div", False, 0.0),
    ),
    "arc at one": (lambda h: torch.acos(h.clamp(-1, 1) * 0 + 1), ("first", "Acos", False, 1.0)),
}


@pytest.mark.parametrize(("between", "expected"), BACKWARD.values(), ids=BACKWARD)
def test_first_operation_of_the_backward_pass(between, expected):
    assert fault(Net(between)) == expected


def test_a_norm_at_zero_is_none():
    """Torch gives 0 there."""
    assert fault(Net(lambda h: h + torch.linalg.vector_norm(0 * h, dim=1, keepdim=True))) is None


def test_of_several_the_deepest_counts_forward():
    net = Net(lambda h: torch.log(torch.relu(h)), torch.sqrt)
    assert fault(net)[:2] == ("first", "Log")


def test_broken_data_and_broken_weights():
    x = torch.randn(9, 4)
    x[3, 2] = math.nan
    layer, operation, forward, operand = fault(Net(), x)
    assert (layer, operation, forward) == ("first", "Addmm", True)
    assert math.isnan(operand)
    net = Net()
    with torch.no_grad():
        net.head.weight[0, 0] = math.nan
    layer, operation, forward, operand = fault(net)
    assert (layer, operation, forward) == ("head", "AccumulateGrad", True)
    assert math.isnan(operand)


def test_overflow_in_a_layer():
    net = Net(lambda h: h)
    with torch.no_grad():
        net.first.weight.fill_(1e38)
        net.head.weight.fill_(1e38)
    assert fault(net, torch.full((9, 4), 2.0))[:3] == ("first", "Addmm", True)


def test_masked_attention_is_no_fault():
    layer = nn.MultiheadAttention(4, 1, batch_first=True)
    mask = torch.full((3, 3), -math.inf).triu(1)
    x = torch.randn(2, 3, 4)

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.head = layer, nn.Linear(4, 1)

        def forward(self, x):
            hidden = self.attention(x, x, x, attn_mask=mask, need_weights=True)[0]
            return self.head(torch.log(hidden * 0))

    assert fault(Attends(), x)[:3] == ("attention.out_proj", "Log", True)
