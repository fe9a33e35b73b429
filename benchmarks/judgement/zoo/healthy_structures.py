"""Structures that ask for care: equilibria, highways, features that are seldom active, factors of a matrix, depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import Residual, he, mlp
from ._healthy_task import Task, adam, explained, healthy, recipe


class Equilibrium(nn.Module):
    """One layer, unrolled to its fixed point: what the first rounds said is forgotten, as it should be."""

    def __init__(self, rounds: int = 25) -> None:
        super().__init__()
        self.inject, self.again, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.rounds = rounds
        with torch.no_grad():
            self.again.weight *= 0.8

    def forward(self, x: Tensor) -> Tensor:
        given, state = self.inject(x), torch.zeros(len(x), 64, dtype=x.dtype)
        for _ in range(self.rounds):
            state = torch.tanh(given + self.again(state))
        return self.head(state)


class Highway(nn.Module):
    """Gates that start, and should start, mostly closed: sigmoids far to the left."""

    def __init__(self, layers: int = 10) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Linear(64, 64) for _ in range(layers))
        self.gates = nn.ModuleList(nn.Linear(64, 64) for _ in range(layers))
        self.head = nn.Linear(64, 10)
        for gate in self.gates:
            nn.init.constant_(gate.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        for inner, gate in zip(self.inner, self.gates, strict=True):
            open_ = torch.sigmoid(gate(x))
            x = open_ * inner(x).relu() + (1 - open_) * x
        return self.head(x)


class TopK(nn.Module):
    """Of 256 features each row keeps the eight largest: all others are 0, and alive."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(64, 256), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = self.encode(x).relu()
        edge = features.topk(8, dim=1).values[:, -1:]
        return self.decode(features * (features >= edge))


class Seldom(nn.Module):
    """Features behind a high threshold, each active in about one row of a hundred."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.relu, self.head = nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 10)
        table = data.digits(0).x
        with torch.no_grad():
            nn.init.normal_(self.features.weight)
            before = table @ self.features.weight.T
            self.features.bias[:] = -before.quantile(0.99, dim=0)
        nn.init.normal_(self.head.weight, std=0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.features(x)))


class Factors(nn.Module):
    """A matrix of people by measures as a product of two thin ones."""

    def __init__(self, rows: int, columns: int, rank: int = 4) -> None:
        super().__init__()
        self.rows, self.columns = nn.Embedding(rows, rank), nn.Embedding(columns, rank)
        for part in (self.rows, self.columns):
            nn.init.normal_(part.weight, std=0.3)

    def forward(self, x: Tensor) -> Tensor:
        return (self.rows(x[:, 0]) * self.columns(x[:, 1])).sum(1, keepdim=True)


def cells(seed: int) -> data.Table:
    """Cells of the breast-cancer table, of which a quarter is hidden."""
    made = data.standardised("breast_cancer", seed)
    matrix = made.x[:200].clamp(-4, 4)
    at = torch.cartesian_prod(torch.arange(200), torch.arange(30))
    return data.split(at, matrix.reshape(-1, 1), seed)


class Attend(nn.Module):
    """Picks the one row of four that holds a digit; its softmax should be decided, and becomes so."""

    def __init__(self) -> None:
        super().__init__()
        self.ask, self.body = nn.Linear(64, 1), he(mlp(hidden=(64,)))

    def forward(self, x: Tensor) -> Tensor:
        weight = (4 * self.ask(x)).softmax(1)
        return self.body((weight * x).sum(1))


def hidden_rows(seed: int) -> data.Table:
    """A digit among three rows of noise."""
    draw = torch.Generator().manual_seed(seed)

    def hide(x: Tensor) -> Tensor:
        rows = torch.rand(len(x), 4, 64, generator=draw) * 0.6
        rows[torch.arange(len(x)), torch.randint(0, 4, (len(x),), generator=draw)] = x
        return rows

    return data.digits(seed).on(hide)


def residual_tanh() -> nn.Sequential:
    inner = (nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64)) for _ in range(12))
    return nn.Sequential(*(Residual(part, 64) for part in inner), nn.Linear(64, 10))


class Masked(Task):
    """A share of the inputs is hidden anew on each batch."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        x, y = batch
        return super().training_step((x * (torch.rand_like(x) > 0.4), y), batch_index)


FITS = (
    healthy(
        "equilibrium-25-rounds",
        "rnn",
        "Unrolled to a fixed point: only the last rounds matter.",
        recipe(Equilibrium, optimizer=adam(3e-3)),
        steps=150,
        seeds=(0, 1),
    ),
    healthy(
        "highway-10-closed-gates",
        "mlp",
        "Gates that are mostly closed carry the gradient past.",
        recipe(Highway, optimizer=adam(3e-3)),
        steps=150,
    ),
    healthy(
        "sparse-top-8-of-256",
        "mlp",
        "Ninety-seven features in a hundred are 0 on any row.",
        recipe(TopK),
        steps=150,
        seeds=(0, 1),
    ),
    healthy(
        "sparse-features-1-percent",
        "mlp",
        "Each unit is active in one row of a hundred: alive.",
        recipe(Seldom, optimizer=adam(3e-3)),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "matrix-factorisation",
        "table",
        "Two embeddings and a product.",
        recipe(
            lambda: Factors(200, 30), cells, batch=256, loss=functional.mse_loss, score=explained, optimizer=adam(0.03)
        ),
        steps=200,
    ),
    healthy(
        "attention-decided",
        "transformer",
        "A softmax over four rows that becomes sure, rightly.",
        recipe(Attend, hidden_rows, optimizer=adam(5e-3)),
        steps=300,
    ),
    healthy(
        "mlp-relu-30-he",
        "mlp",
        "Thirty layers, He, a small rate.",
        recipe(lambda: he(mlp(hidden=(96,) * 30)), optimizer=adam(3e-4)),
        steps=200,
    ),
    healthy(
        "mlp-layernorm-12",
        "mlp",
        "Twelve normed layers.",
        recipe(lambda: he(mlp(hidden=(64,) * 12, norm=nn.LayerNorm)), optimizer=adam(1e-3)),
        steps=200,
    ),
    healthy(
        "mlp-tanh-residual-12",
        "mlp",
        "Twelve tanh blocks, each with a path around.",
        recipe(residual_tanh, optimizer=adam(1e-3)),
        steps=120,
    ),
    healthy(
        "inputs-masked-40-percent", "mlp", "Inputs hidden at random.", recipe(lambda: he(mlp()), task=Masked), steps=200
    ),
)
