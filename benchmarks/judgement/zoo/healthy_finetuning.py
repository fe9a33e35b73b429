"""Fine-tuning: adapters that start at 0, parts that are frozen on purpose, for a while or for good."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import he, mlp
from ._healthy_task import Task, adam, healthy, recipe


class LowRank(nn.Module):
    """A frozen layer and B A beside it, B = 0."""

    def __init__(self, layer: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x @ self.a.T @ self.b.T


def pretrained(steps: int = 120) -> nn.Sequential:
    """A network that has learned to tell digits below five from the others."""
    table, network = data.digits(7), he(mlp(outputs=2, hidden=(64, 64, 64)))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(steps):
        rows = torch.arange(step * 64, step * 64 + 64) % len(table.x)
        optimizer.zero_grad()
        functional.cross_entropy(network(table.x[rows]), (table.y[rows] < 5).long()).backward()
        optimizer.step()
    network[-1] = nn.Linear(64, 10)
    return network


def adapted() -> nn.Sequential:
    network = pretrained()
    return nn.Sequential(*(LowRank(m) if isinstance(m, nn.Linear) and m.out_features != 10 else m for m in network))


def frozen() -> nn.Sequential:
    network = pretrained()
    network[:-1].requires_grad_(False)
    return network


class Thaw(Callback):
    """Lets the whole network learn from an epoch on, as fine-tuning does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        if trainer.current_epoch == self.epoch:
            pl_module.network.requires_grad_(True)


class FrozenNorms(Task):
    """Fine-tuning with batch norms held still: in eval mode, without gradients."""

    def on_train_batch_start(self, batch, batch_index) -> None:
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval().requires_grad_(False)


def norm_mlp() -> nn.Sequential:
    return mlp(hidden=(64,) * 4, norm=nn.BatchNorm1d)


FITS = (
    healthy(
        "lora-b-zero",
        "fine-tuning",
        "A has no gradient while B is 0; the rest is frozen on purpose.",
        recipe(adapted, optimizer=adam(0.01)),
        steps=150,
        seeds=(0, 1),
    ),
    healthy(
        "frozen-backbone-head",
        "fine-tuning",
        "Only the head learns.",
        recipe(frozen, trains=lambda n: list(n[-1].parameters()), optimizer=adam(0.01)),
        steps=150,
    ),
    healthy(
        "frozen-then-thawed-epoch-3",
        "fine-tuning",
        "The backbone is frozen for three epochs, then learns too.",
        recipe(frozen, callbacks=lambda: [Thaw(3)], optimizer=adam(2e-3)),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "frozen-batch-norms",
        "fine-tuning",
        "Batch norms held in eval mode.",
        recipe(norm_mlp, task=FrozenNorms, optimizer=adam(2e-3)),
    ),
)
