"""Healthy fits that look like vanishing."""

import copy

import pytest
import torch
from torch import nn

from tests.callbacks.fits import network
from tests.fits.modules import nothing_to_say, plain


class Gate(nn.Module):
    """ReZero: the branch gets exactly nothing until the gate has opened."""

    def __init__(self):
        super().__init__()
        self.branch, self.gate, self.head = nn.Linear(64, 64), nn.Parameter(torch.zeros(())), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(x + self.gate * torch.tanh(self.branch(x)))


class Lora(nn.Module):
    """A frozen layer with an adapter that begins as nothing."""

    def __init__(self):
        super().__init__()
        self.base, self.head = nn.Linear(64, 32).requires_grad_(False), nn.Linear(32, 10)
        self.a, self.b = nn.Linear(64, 4, bias=False), nn.Linear(4, 32, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x):
        return self.head(torch.relu(self.base(x) + self.b(self.a(x))))


class Attention(nn.Module):
    """The key's bias cancels out in the softmax."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(64, 10)

    def forward(self, x):
        x = x.view(-1, 8, 8)
        weights = torch.softmax(self.q(x) @ self.k(x).mT / 8**0.5, -1)
        return self.head((weights @ self.v(x)).flatten(1))


class Rare(nn.Module):
    """32 of 50,000 rows of an embedding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(50_000, 4), nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.embedding((x[:, :2].abs() * 9).long().clamp(max=31)).flatten(1))


class Experts(nn.Module):
    """One of four at a time."""

    def __init__(self):
        super().__init__()
        self.experts, self.turn = nn.ModuleList(nn.Linear(64, 10) for _ in range(4)), 0

    def forward(self, x):
        self.turn += 1
        return self.experts[self.turn % 4](x)


class Odds(nn.Module):
    """A table that needs no gradient, a scalar, and a parameter without any element."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.ones(10), requires_grad=False)
        self.scale, self.none, self.net = nn.Parameter(torch.ones(())), nn.Parameter(torch.empty(0)), network(False)

    def forward(self, x):
        return self.net(x) * self.table * self.scale + self.none.sum()


def zero_head():
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    nn.init.zeros_(net[2].weight)
    nn.init.zeros_(net[2].bias)
    return net


def frozen_backbone():
    net = network(False)
    net[:10].requires_grad_(False)
    return net


def converged():
    """Everything gets small, and that is no decay along the depth."""

    def step(m):
        goal = copy.deepcopy(m.net).requires_grad_(False)
        return lambda batch, batch_idx: (m.net(batch[0]) - goal(batch[0]) - 1e-7).square().mean()

    return plain(training_step=step)


LOOK_ALIKES = {
    "zero-initialised head": lambda: plain(zero_head()),
    "zero-initialised gate (ReZero)": lambda: plain(Gate(), rate=0.5),
    "LoRA": lambda: plain(Lora()),
    "frozen backbone": lambda: plain(frozen_backbone()),
    "bias before batch norm": lambda: plain(
        nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    ),
    "bias of the attention's keys": lambda: plain(Attention()),
    "embedding, 32 of 50,000 rows": lambda: plain(Rare()),
    "mixture of experts": lambda: plain(Experts()),
    "converged": converged,
    "parameters without gradient, without shape, without element": lambda: plain(Odds()),
}


@pytest.mark.parametrize("build", LOOK_ALIKES.values(), ids=LOOK_ALIKES.keys())
def test_nothing_to_say(build):
    nothing_to_say(build)
