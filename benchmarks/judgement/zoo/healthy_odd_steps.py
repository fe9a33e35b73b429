"""Steps that are not like others: skipped, recomputed, taught by another network, or cut out of a longer sequence."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from . import _healthy_data as data
from ._healthy_networks import he, mlp
from ._healthy_task import Task, adam, healthy, recipe
from .healthy_finetuning import pretrained


class Skips(Task):
    """Every fifth batch is not trained on: ``training_step`` returns None."""

    seen = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor | None:
        self.seen += 1
        loss = super().training_step(batch, batch_index)
        return None if self.seen % 5 == 0 else loss


class Recomputed(nn.Module):
    """Blocks whose forward pass is done again in the backward one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.blocks = nn.ModuleList(he(nn.Sequential(nn.Linear(64, 64), nn.ReLU())) for _ in range(4))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for part in self.blocks:
            x = checkpoint(part, x, use_reentrant=False) if self.training else part(x)
        return self.head(x)


class Distilled(Task):
    """A small network says what a large frozen one says, besides the label."""

    def __init__(self, network: nn.Module, table: data.Table, **options) -> None:
        super().__init__(network, table, **options)
        self.teacher = pretrained()[:-1].requires_grad_(False)
        self.guess = nn.Linear(10, 64)
        self.trains = lambda network: [*network.parameters(), *self.guess.parameters()]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        told = self.teacher(batch[0])
        guessed = self.guess(self(batch[0]))
        return super().training_step(batch, batch_index) + 0.1 * functional.mse_loss(guessed, told)


class Carried(Task):
    """Windows of one long text: the state goes on from batch to batch, its gradient is cut, as it must be."""

    state: Tensor | None = None

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        x, y = batch
        embed, cell, head = self.network
        before = self.state if self.state is not None and self.state.shape[1] == len(x) else None
        out, state = cell(embed(x), None if before is None else before.to(embed.weight.dtype))
        self.state = state.detach()
        loss = self.loss(head(out).transpose(1, 2), y)
        self.last_loss = float(loss.detach())
        return loss

    @torch.no_grad()
    def score(self) -> float:
        embed, cell, head = self.network
        x, y = self.held_out
        return (head(cell(embed(x))[0]).argmax(2) == y).float().mean().item()


class Penalised(Task):
    """The gradient at the inputs is part of the loss: a backward pass through the backward pass."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        x = batch[0].clone().requires_grad_()
        with torch.enable_grad():
            loss = functional.cross_entropy(self(x), batch[1])
            (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        self.last_loss = float(loss.detach())
        return loss + 10 * slope.pow(2).sum(1).mean()


def reader() -> nn.Module:
    return nn.ModuleList([nn.Embedding(128, 24), nn.GRU(24, 48, batch_first=True), nn.Linear(48, 128)])


FITS = (
    healthy(
        "steps-skipped-by-none",
        "training",
        "Every fifth step has no loss.",
        recipe(lambda: he(mlp()), task=Skips),
        steps=150,
    ),
    healthy(
        "recomputed-blocks", "mlp", "Activation checkpointing.", recipe(Recomputed, optimizer=adam(2e-3)), steps=150
    ),
    healthy(
        "distilled-from-frozen",
        "fine-tuning",
        "A teacher without gradients.",
        recipe(partial(mlp, hidden=(32,)), task=Distilled, optimizer=adam(5e-3)),
        steps=200,
    ),
    healthy(
        "gru-state-carried-over",
        "rnn",
        "Truncated backpropagation: the state comes in detached.",
        recipe(reader, partial(data.next_bytes, 24), task=Carried, batch=32, optimizer=adam(0.01)),
        steps=150,
    ),
    healthy(
        "input-gradient-penalty",
        "mlp",
        "Softplus layers and a double backward pass.",
        recipe(lambda: he(mlp(activation=nn.Softplus)), task=Penalised, optimizer=adam(3e-3)),
        steps=150,
    ),
)
