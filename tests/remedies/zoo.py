"""Networks of every kind that a treatment may meet, as LightningModules with their data."""

from __future__ import annotations

import importlib
import os

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

NAMESPACE = os.environ.get("ZOO_NAMESPACE", "lightning.pytorch")
pl = importlib.import_module(NAMESPACE)


class Base(pl.LightningModule):
    """A classifier of four classes, trained with noise on its loss, which draws random numbers."""

    shape = (6,)

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.build()

    def loss(self, batch):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def training_step(self, batch, batch_idx):
        return self.loss(batch) * (1 + 0.01 * torch.rand(()))

    def configure_optimizers(self):
        free = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.SGD(free, lr=0.05, momentum=0.9, weight_decay=1e-4)

    def loader(self, batches=4):
        generator = torch.Generator().manual_seed(1)
        x = 20 * torch.randn(8 * batches, *self.shape, generator=generator) + 50
        y = torch.randint(0, 4, (len(x),), generator=generator)
        return DataLoader(TensorDataset(x, y), batch_size=8)

    train_dataloader = loader


class Sigmoids(Base):
    """A deep sigmoid network."""

    def build(self):
        hidden = [part for _ in range(4) for part in (nn.Linear(6, 6), nn.Sigmoid())]
        self.net = nn.Sequential(*hidden, nn.Dropout(0.1), nn.Linear(6, 4))

    def forward(self, x):
        return self.net(x)


class Convolutions(Base):
    """Images, with a normalisation and a weight that is normalised."""

    shape = (2, 6, 6)

    def build(self):
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.body = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3, padding=1))
        self.act, self.head = nn.Tanh(), nn.Linear(4, 4)

    def forward(self, x):
        x = self.act(self.norm(self.stem(x)))
        return self.head(self.act(self.body(x)).mean((2, 3)))


class Recurrent(Base):
    """A plain recurrent network over twelve steps."""

    shape = (12, 3)

    def build(self):
        self.rnn, self.head = nn.RNN(3, 6, batch_first=True), nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Functional(Base):
    """Activations that are functions."""

    def build(self):
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        x = torch.sigmoid(self.first(x))
        return self.head(nn.functional.tanh(self.second(x)))


class TiedAndFrozen(Base):
    """Tied weights, a frozen layer, a shared activation, a buffer that is not saved."""

    def build(self):
        self.one, self.two, self.still = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.two.weight = self.one.weight
        self.still.requires_grad_(False)
        self.act, self.head = nn.Sigmoid(), nn.Linear(6, 4)
        self.register_buffer("shift", torch.ones(6), persistent=False)

    def forward(self, x):
        x = self.act(self.two(self.act(self.one(x))))
        return self.head(self.act(self.still(x)) + self.shift)


ZOO = {kind.__name__: kind for kind in (Sigmoids, Convolutions, Recurrent, Functional, TiedAndFrozen)}


def steps(model, optimizer, count):
    """Training by hand, without a Trainer."""
    batches = list(model.loader())
    for i in range(count):
        optimizer.zero_grad()
        model.training_step(batches[i % len(batches)], i).backward()
        optimizer.step()


def trainer(callbacks=(), **options):
    options = {"max_epochs": 1, "enable_checkpointing": False, "accelerator": "cpu", **options}
    return pl.Trainer(
        callbacks=list(callbacks),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )
