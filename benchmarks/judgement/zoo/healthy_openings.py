"""Zeros that are meant: gates and heads that start at 0, parts that are idle or seldom asked."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import Residual, he, mlp
from ._healthy_task import accuracy, adam, healthy, recipe, sgd


def rezero(layers: int = 12) -> nn.Sequential:
    """Residual branches behind a gate that starts at 0."""
    inner = (nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(layers))
    return nn.Sequential(*(Residual(part, 64, scale=0.0, norm=False) for part in inner), nn.Linear(64, 10))


def zero_head() -> nn.Sequential:
    """At step 0 nothing reaches the body: the head's weights are 0."""
    network = he(mlp(hidden=(64, 64, 64)))
    nn.init.zeros_(network[-1].weight)
    return network


class Experts(nn.Module):
    """Each row asks the best of six experts; some are asked by hardly anyone."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(64, 6)
        self.experts = nn.ModuleList(he(mlp(64, 32, (32,))) for _ in range(6))
        self.head = nn.Linear(32, 10)
        with torch.no_grad():
            self.router.bias[:] = torch.tensor([0.0, 0.0, 0.0, -0.5, -30.0, -30.0])

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = self.router(x).softmax(1).max(1)
        out = x.new_zeros(len(x), 32)
        for i, expert in enumerate(self.experts):
            rows = (chosen == i).nonzero().flatten()
            if len(rows):
                out = out.index_add(0, rows, expert(x[rows]) * weight[rows, None])
        return self.head(out.relu())


class Supervised(nn.Module):
    """A head after every two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            he(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())) for _ in "123"
        )
        self.heads = nn.ModuleList(nn.Linear(64, 10) for _ in "123")

    def forward(self, x: Tensor) -> list[Tensor]:
        outs = []
        for part, head in zip(self.parts, self.heads, strict=True):
            x = part(x)
            outs.append(head(x))
        return outs


def supervised(outs: list[Tensor], y: Tensor) -> Tensor:
    return sum(functional.cross_entropy(out, y) for out in outs) / len(outs)


class Tasks(nn.Module):
    """One body, two heads: the digit, and how much ink it took."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.digit, self.ink = he(mlp(outputs=64)), nn.Linear(64, 10), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shared = self.body(x).relu()
        return self.digit(shared), self.ink(shared), x.mean(1, keepdim=True)


def both_tasks(outs: tuple[Tensor, Tensor, Tensor], y: Tensor) -> Tensor:
    return functional.cross_entropy(outs[0], y) + functional.mse_loss(outs[1], outs[2])


class Branches(nn.Module):
    """The upper and the lower half of a digit, each through a branch of its own, both fed."""

    def __init__(self) -> None:
        super().__init__()
        self.upper, self.lower = (he(mlp(32, 32, (64,) * depth)) for depth in (2, 4))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.upper(x[:, :32]), self.lower(x[:, 32:])], 1).relu())


class Rare(nn.Module):
    """An embedding of 50,000 rows with sparse gradients, of which a batch asks some hundred."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(50_000, 8, mode="mean", sparse=True)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        pairs = x[:, :-1] * 128 + x[:, 1:]  # two bytes are one of 16,384 words, spread over the table
        return self.head(self.embed(pairs * 3 % 50_000))


def adagrad(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Takes sparse gradients beside dense ones."""
    return torch.optim.Adagrad(parameters, lr=0.1)


def first(outs, y: Tensor) -> float:
    return accuracy(outs[0], y)


def last(outs, y: Tensor) -> float:
    return accuracy(outs[-1], y)


def norm_mlp() -> nn.Sequential:
    return mlp(hidden=(64,) * 4, norm=nn.BatchNorm1d)


FITS = (
    healthy(
        "gates-rezero-12",
        "mlp",
        "Gates start at 0: at step 0 no layer but the last has a gradient.",
        recipe(rezero, optimizer=adam(2e-3)),
        steps=120,
        seeds=(0, 1),
    ),
    healthy("gates-rezero-12-sgd", "mlp", "The same with plain SGD.", recipe(rezero, optimizer=sgd(0.05)), steps=150),
    healthy("head-zero-init", "mlp", "A head that starts at 0.", recipe(zero_head, optimizer=adam(2e-3)), seeds=(0, 1)),
    healthy(
        "biases-before-batch-norm",
        "mlp",
        "Biases before a norm have rounding for a gradient.",
        recipe(norm_mlp, optimizer=sgd(0.05)),
        steps=150,
    ),
    healthy(
        "experts-idle",
        "branches",
        "Two of six experts are asked by nobody, one by few.",
        recipe(Experts, optimizer=adam(5e-3)),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "deep-supervision-3",
        "branches",
        "Three heads: a short trunk.",
        recipe(Supervised, loss=supervised, score=last, optimizer=adam(2e-3)),
    ),
    healthy(
        "two-tasks-uneven",
        "branches",
        "Two losses of which one is a hundred times smaller.",
        recipe(Tasks, loss=both_tasks, score=first),
        seeds=(0, 1),
    ),
    healthy("two-branches-both-fed", "branches", "Branches of unequal depth.", recipe(Branches, optimizer=adam(2e-3))),
    healthy(
        "sparse-embedding-50k",
        "table",
        "99.9 % of an embedding's rows have no gradient.",
        recipe(Rare, data.topics, optimizer=adagrad),
        steps=150,
    ),
)
