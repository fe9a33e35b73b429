"""Fits of which something may be said, as info, and about which nobody should be woken: they learn."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from . import _healthy_data as data
from ._healthy_networks import LastStep, he, mlp, xavier
from ._healthy_task import Task, adam, mild, recipe, sgd


def partly_dead(share: float, activation=nn.ReLU) -> nn.Sequential:
    """A share of the first layer's units can never be active."""
    network = he(mlp(hidden=(128, 64), activation=activation))
    with torch.no_grad():
        network[0].bias[: int(128 * share)] = -50.0
    return network


class Outlier(Task):
    """One batch, the 120th, is a thousand times too large; the step is clipped."""

    seen = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        self.seen += 1
        x, y = batch
        return super().training_step((x * 1000 if self.seen == 120 else x, y), batch_index)


class Mislabelled(Task):
    """The 120th batch has its labels turned round."""

    seen = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        self.seen += 1
        x, y = batch
        return super().training_step((x, 9 - y if self.seen == 120 else y), batch_index)


def late_rows(blank: int):
    """The digit's eight rows after as many rows of noise: the early steps are irrelevant."""

    def table(seed: int) -> data.Table:
        draw = torch.Generator().manual_seed(seed)
        return data.rows(seed).on(lambda x: torch.cat([torch.rand(len(x), blank, 8, generator=draw), x], 1))

    return table


class Spare(nn.Module):
    """A head beside the one that is used."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.spare = he(mlp(outputs=64)), nn.Linear(64, 10), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu())


class Forgotten(nn.Module):
    """A small module that nothing calls any more."""

    def __init__(self) -> None:
        super().__init__()
        self.old, self.body = nn.LayerNorm(8), he(mlp())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def random_first() -> nn.Sequential:
    """The first layer is frozen as it was drawn, which costs a little and no more."""
    network = he(mlp(hidden=(128, 64)))
    network[0].requires_grad_(False)
    return network


class Unasked(Task):
    """The optimizer was not given the first layer."""

    def configure_optimizers(self):
        return torch.optim.Adam(list(self.network.parameters())[2:], lr=3e-3)


def large_start() -> nn.Sequential:
    """Tanh layers whose first weights are four times too large: saturated at first, and it learns."""
    network = xavier(mlp(hidden=(64, 64), activation=nn.Tanh))
    with torch.no_grad():
        network[0].weight *= 6
    return network


def rnn(kind: type[nn.RNNBase] = nn.RNN) -> LastStep:
    return LastStep(kind(8, 48, batch_first=True), 48)


FITS = (
    mild(
        "dead-half-of-a-relu",
        "mlp",
        "Half of a layer is dead; the other half does the work.",
        recipe(partial(partly_dead, 0.5)),
        steps=150,
        seeds=(0, 1),
    ),
    mild(
        "dead-60-percent-of-a-relu",
        "mlp",
        "Three units in five are dead.",
        recipe(partial(partly_dead, 0.6)),
        steps=150,
    ),
    mild(
        "dead-40-percent-sgd",
        "mlp",
        "Two units in five are dead, under SGD.",
        recipe(partial(partly_dead, 0.4), optimizer=sgd(0.05)),
        steps=150,
    ),
    mild(
        "outlier-batch-clipped",
        "training",
        "One batch is a thousand times too large and clipped.",
        recipe(lambda: he(mlp()), task=Outlier, trainer=lambda: {"gradient_clip_val": 1.0}, optimizer=sgd(0.05)),
        steps=250,
        seeds=(0, 1),
    ),
    mild(
        "outlier-batch-adam",
        "training",
        "The same under Adam, not clipped.",
        recipe(lambda: he(mlp()), task=Outlier, optimizer=adam(1e-3)),
        steps=300,
    ),
    mild(
        "outlier-batch-mislabelled",
        "training",
        "One batch with wrong labels: the loss jumps once.",
        recipe(lambda: he(mlp()), task=Mislabelled),
        steps=200,
    ),
    mild(
        "rnn-early-steps-irrelevant",
        "rnn",
        "What came first is noise; its gradient fades by decades, rightly.",
        recipe(rnn, late_rows(24), optimizer=adam(5e-3)),
        steps=300,
        seeds=(0, 1),
    ),
    mild(
        "gru-early-steps-irrelevant",
        "rnn",
        "A GRU that learns to forget noise.",
        recipe(partial(rnn, nn.GRU), late_rows(32), optimizer=adam(0.01)),
        steps=250,
    ),
    mild(
        "sigmoid-5-xavier-adam",
        "mlp",
        "Five sigmoid layers lose two decades or more, and learn through Adam.",
        recipe(lambda: xavier(mlp(hidden=(64,) * 5, activation=nn.Sigmoid)), optimizer=adam(0.01)),
        steps=400,
        seeds=(0, 1),
    ),
    mild(
        "sigmoid-4-default-adam",
        "mlp",
        "Four sigmoid layers as torch draws them.",
        recipe(lambda: mlp(hidden=(64,) * 4, activation=nn.Sigmoid), optimizer=adam(0.01)),
        steps=500,
    ),
    mild("spare-head", "branches", "A head that nothing asks.", recipe(Spare), seeds=(0, 1)),
    mild("unused-small-module", "branches", "A norm of sixteen numbers that nothing calls.", recipe(Forgotten)),
    mild("frozen-at-random", "fine-tuning", "A layer frozen as it was drawn.", recipe(random_first)),
    mild(
        "first-layer-not-in-optimizer",
        "fine-tuning",
        "The first layer never moves; the rest makes up for it.",
        recipe(lambda: he(mlp(hidden=(128, 64))), task=Unasked),
    ),
    mild(
        "relu-10-default-init",
        "mlp",
        "Ten layers as torch draws them: weak at first, and they recover.",
        recipe(lambda: mlp(hidden=(64,) * 10), optimizer=adam(2e-3)),
        steps=300,
        seeds=(0, 1),
    ),
    mild(
        "relu-12-default-init",
        "mlp",
        "Twelve layers as torch draws them.",
        recipe(lambda: mlp(hidden=(96,) * 12), optimizer=adam(2e-3)),
        steps=350,
    ),
    mild(
        "tanh-saturated-start",
        "mlp",
        "Tanh layers that start saturated, and learn.",
        recipe(large_start, optimizer=adam(3e-3)),
        steps=200,
    ),
)
