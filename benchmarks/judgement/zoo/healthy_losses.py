"""What is lost: noise that stays, losses that change, go below 0 or begin at 0, and classes that are rare."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import he, mlp
from ._healthy_task import Task, adam, explained, healthy, recipe, sgd


def network(outputs: int = 10) -> nn.Sequential:
    return he(mlp(outputs=outputs, hidden=(64, 64)))


def noisy_labels(seed: int) -> data.Table:
    """Four labels in ten are drawn anew: the loss stands high, what can be learned is."""
    table, draw = data.digits(seed), torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(table.y), generator=draw) < 0.4
    drawn = torch.randint(0, 10, (len(table.y),), generator=draw)
    return data.Table(table.x, torch.where(wrong, drawn, table.y), table.held_x, table.held_y)


def noisy_numbers(seed: int) -> data.Table:
    """How much ink a digit took, with noise as large as the signal."""
    table, draw = data.digits(seed), torch.Generator().manual_seed(seed)

    def ink(x: Tensor) -> Tensor:
        total = x.mean(1, keepdim=True)
        return (total - total.mean()) / total.std()

    y = ink(table.x)
    return data.Table(table.x, y + torch.randn(y.shape, generator=draw), table.held_x, ink(table.held_x))


def rare(seed: int) -> data.Table:
    """Nines against the rest, and of the nines one in three is left."""
    table = data.digits(seed)
    kept = (table.y != 9) | (torch.arange(len(table.y)) % 3 == 0)
    table = data.Table(table.x[kept], table.y[kept], table.held_x, table.held_y)
    return table.targets(lambda y: (y == 9).long())


def recall(out: Tensor, y: Tensor) -> float:
    """Mean share of right ones over the two classes."""
    right = ((out.reshape(-1) > 0).long() == y).float()
    return float(right[y == 1].mean() + right[y == 0].mean()) / 2


def one_yes(out: Tensor, y: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(out.reshape(-1), y.to(out.dtype), pos_weight=torch.tensor(8.0))


def against_rest(out: Tensor, y: Tensor) -> Tensor:
    """Ten sigmoids, fused with their loss."""
    return functional.binary_cross_entropy_with_logits(out, functional.one_hot(y, 10).to(out.dtype))


def of_probabilities(out: Tensor, y: Tensor) -> Tensor:
    """The same on probabilities: the network ends with a sigmoid, as it should for this loss."""
    return functional.binary_cross_entropy(out, functional.one_hot(y, 10).to(out.dtype))


def negative_log(out: Tensor, y: Tensor) -> Tensor:
    """Of a network that ends with log-softmax."""
    return functional.nll_loss(out, y)


def likeness(out: Tensor, y: Tensor) -> Tensor:
    """From 0 down to -1: minus the cosine to a code of the class."""
    codes = torch.eye(10, dtype=out.dtype)[y] - 0.1
    return -functional.cosine_similarity(out, codes, dim=1).mean()


class Switched(Task):
    """After a number of batches another loss, twenty times as large."""

    seen = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        loss = super().training_step(batch, batch_index)
        self.seen += 1
        if self.seen <= 100:
            return loss
        return 20 * against_rest(self(batch[0]), batch[1])


class Curriculum(Task):
    """First clear digits; after 100 batches those with noise."""

    seen = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        self.seen += 1
        x, y = batch
        return super().training_step((x + 0.4 * torch.randn_like(x) if self.seen > 100 else x, y), batch_index)


class Policy(Task):
    """Draws an answer, is paid 1 for the right one, and learns from pay above the mean: its loss is 0 on average."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        x, y = batch
        logs = self(x).log_softmax(1)
        drawn = torch.multinomial(logs.detach().exp(), 1).flatten()
        paid = (drawn == y).to(logs.dtype)
        loss = -((paid - paid.mean()) * logs.gather(1, drawn[:, None]).flatten()).mean()
        self.last_loss, self.last_accuracy = float(loss.detach()), float(paid.mean())
        return loss - 0.01 * -(logs.exp() * logs).sum(1).mean()


class Increment(nn.Module):
    """Says what a digit looks like: itself, plus a correction that starts at 0; the loss begins near 0."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = he(mlp(64, 64, (64,)))
        nn.init.zeros_(self.inner[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def brighter(seed: int) -> data.Table:
    """A digit and the same a shade brighter where there is ink."""
    table = data.digits(seed)
    return data.Table(table.x, table.x + 0.05 * table.x.sqrt(), table.held_x, table.held_x + 0.05 * table.held_x.sqrt())


def corrected(out: Tensor, y: Tensor) -> float:
    """1 where the shade is met, 0 where nothing was corrected."""
    return 1 - float(((out - y) ** 2).mean() / (0.05**2 * 0.3))


FITS = (
    healthy(
        "labels-noisy-40-percent",
        "table",
        "The loss stays near 1.7, which is all there is to learn.",
        recipe(network, noisy_labels, optimizer=adam(1e-3)),
        steps=300,
        seeds=(0, 1),
    ),
    healthy(
        "regression-noise-floor",
        "table",
        "Half of the target is noise.",
        recipe(partial(network, 1), noisy_numbers, loss=functional.mse_loss, score=explained, optimizer=adam(1e-3)),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "classes-imbalanced-30-to-1",
        "table",
        "Few rows are of the class that counts.",
        recipe(partial(network, 1), rare, loss=one_yes, score=recall),
        steps=200,
    ),
    healthy(
        "sigmoid-fused-10",
        "mlp",
        "Ten sigmoids inside the loss: they saturate because they are right.",
        recipe(network, loss=against_rest),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "sigmoid-output-bce",
        "mlp",
        "A sigmoid as output, with the loss that belongs to it.",
        recipe(lambda: nn.Sequential(*network(), nn.Sigmoid()), loss=of_probabilities),
        steps=250,
    ),
    healthy(
        "log-softmax-output",
        "mlp",
        "A softmax in the network, decided in the end.",
        recipe(lambda: nn.Sequential(*network(), nn.LogSoftmax(1)), loss=negative_log),
        steps=400,
    ),
    healthy("loss-below-0", "mlp", "The loss falls from 0 to -1.", recipe(network, loss=likeness), steps=200),
    healthy(
        "loss-begins-near-0",
        "mlp",
        "The loss begins at 1e-3 and falls by decades.",
        recipe(Increment, brighter, loss=functional.mse_loss, score=corrected, optimizer=adam(1e-3)),
        steps=300,
    ),
    healthy(
        "loss-switched-at-100",
        "training",
        "Another loss from batch 100 on, many times as large.",
        recipe(network, task=Switched),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "curriculum-at-100",
        "training",
        "Harder data from batch 100 on: gradients grow at once.",
        recipe(network, task=Curriculum),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "policy-gradient-digits",
        "training",
        "The loss is 0 on average and says nothing of progress.",
        recipe(network, task=Policy, batch=128, optimizer=adam(5e-3)),
        steps=400,
        seeds=(0, 1),
    ),
    healthy(
        "huber-batches-of-8",
        "table",
        "Batches of eight, Huber's loss.",
        recipe(
            lambda: he(mlp(10, 1, (32,))),
            partial(data.standardised, "diabetes"),
            batch=8,
            score=explained,
            loss=functional.huber_loss,
            optimizer=sgd(0.01),
        ),
        steps=400,
    ),
)
