"""Networks that learn from pairs, and those of which one follows the other without a gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import he, mlp
from ._healthy_task import Task, adam, healthy, recipe


def seen_twice(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two views: other noise, other pixels hidden."""
    return tuple((x + 0.15 * torch.randn_like(x)) * (torch.rand_like(x) > 0.15) for _ in "12")  # type: ignore[return-value]


def nearest(known: Tensor, labels: Tensor, asked: Tensor, truth: Tensor) -> float:
    """Share of rows whose nearest known neighbour, by angle, is of their class."""
    angle = functional.normalize(asked, dim=1) @ functional.normalize(known, dim=1).T
    return (labels[angle.argmax(1)] == truth).float().mean().item()


class Pairs(Task):
    """A network judged by its neighbours; subclasses say what is lost on a batch."""

    def __init__(self, network: nn.Module, table: data.Table, **options) -> None:
        super().__init__(network, table, **options)
        self.known = (table.x[:500], table.y[:500])

    def lost(self, x: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        loss = self.lost(*batch)
        self.last_loss = float(loss.detach())
        return loss

    @torch.no_grad()
    def score(self) -> float:
        was = self.training
        self.eval()
        found = nearest(self.network(self.known[0]), self.known[1], self.network(self.held_out[0]), self.held_out[1])
        self.train(was)
        return found


class SimClr(Pairs):
    """Two views of one digit belong together; all others are apart."""

    def lost(self, x: Tensor, y: Tensor) -> Tensor:
        one, other = (functional.normalize(self.network(view), dim=1) for view in seen_twice(x))
        logits = one @ other.T / 0.2
        truth = torch.arange(len(x))
        return (functional.cross_entropy(logits, truth) + functional.cross_entropy(logits.T, truth)) / 2


class Triplets(Pairs):
    """A margin: where all triplets keep it, the loss is 0, and so is every gradient."""

    def lost(self, x: Tensor, y: Tensor) -> Tensor:
        out = functional.normalize(self.network(x), dim=1)
        apart = 1 - out @ out.T
        same = (y[:, None] == y[None]) & ~torch.eye(len(y), dtype=torch.bool)
        near = torch.where(same, apart, torch.zeros(())).sum(1) / same.sum(1).clamp_min(1)
        far = torch.where(y[:, None] == y[None], torch.full((), 9.0).to(apart), apart).amin(1)
        return (near - far + 0.3).clamp_min(0).mean()


class Siamese(Pairs):
    """One network for both of a pair; alike or not is the label."""

    def lost(self, x: Tensor, y: Tensor) -> Tensor:
        half = len(x) // 2
        one, other = self.network(x[:half]), self.network(x[half : 2 * half])
        alike = (y[:half] == y[half : 2 * half]).to(one.dtype)
        apart = (one - other).norm(dim=1)
        return (alike * apart**2 + 3 * (1 - alike) * (2 - apart).clamp_min(0) ** 2).mean()


class Momentum(Pairs):
    """BYOL: a predictor guesses what a slow copy says; the copy has no gradient, it follows."""

    def __init__(self, network: nn.Module, table: data.Table, **options) -> None:
        super().__init__(network, table, **options)
        self.predictor = mlp(32, 32, (64,), norm=nn.BatchNorm1d)
        self.slow = he(mlp(64, 32, (64,), norm=nn.BatchNorm1d))
        self.slow.load_state_dict(network.state_dict())
        self.slow.requires_grad_(False)
        self.trains = lambda network: [*network.parameters(), *self.predictor.parameters()]

    def lost(self, x: Tensor, y: Tensor) -> Tensor:
        one, other = seen_twice(x)
        guess = functional.normalize(self.predictor(self.network(one)), dim=1)
        with torch.no_grad():
            told = functional.normalize(self.slow(other), dim=1)
        return 2 - 2 * (guess * told).sum(1).mean()

    @torch.no_grad()
    def on_train_batch_end(self, outputs, batch, batch_index) -> None:
        for slow, fast in zip(self.slow.parameters(), self.network.parameters(), strict=True):
            slow.lerp_(fast, 0.02)


class Queue(Momentum):
    """MoCo: negatives come from a queue of what the slow copy said before; the queue is a buffer."""

    def __init__(self, network: nn.Module, table: data.Table, **options) -> None:
        super().__init__(network, table, **options)
        self.predictor = nn.Identity()
        with torch.no_grad():
            self.register_buffer("queue", functional.normalize(self.slow(table.x[:512]), dim=1))

    def lost(self, x: Tensor, y: Tensor) -> Tensor:
        one, other = seen_twice(x)
        query = functional.normalize(self.network(one), dim=1)
        with torch.no_grad():
            key = functional.normalize(self.slow(other), dim=1)
        logits = torch.cat([(query * key).sum(1, keepdim=True), query @ self.queue.T.clone()], 1) / 0.2
        self.queue = torch.cat([key, self.queue])[:512].detach()
        return functional.cross_entropy(logits, torch.zeros(len(x), dtype=torch.long))


class Targets(Task):
    """Class centres are parameters that nothing trains: moved by hand towards their class."""

    def __init__(self, network: nn.Module, table: data.Table, **options) -> None:
        super().__init__(network, table, **options)
        self.centres = nn.Parameter(torch.randn(10, 16), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return -torch.cdist(self.network(x), self.centres)

    @torch.no_grad()
    def on_train_batch_end(self, outputs, batch, batch_index) -> None:
        out = self.network(batch[0])
        for label in batch[1].unique():
            self.centres[label] = self.centres[label].lerp(out[batch[1] == label].mean(0), 0.02)


def embedder() -> nn.Sequential:
    return he(mlp(64, 32, (64,), norm=nn.BatchNorm1d))


FITS = (
    healthy(
        "simclr-mlp",
        "contrastive",
        "The loss has a floor; neighbours get better.",
        recipe(embedder, task=SimClr),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "triplet-margin-to-0",
        "contrastive",
        "The margin is kept: loss and gradients are 0 on many batches.",
        recipe(embedder, task=Triplets, optimizer=adam(3e-3)),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "siamese-pairs", "contrastive", "One network, used twice a batch.", recipe(embedder, task=Siamese), steps=200
    ),
    healthy(
        "byol-momentum-encoder",
        "contrastive",
        "Half of the weights follow without a gradient.",
        recipe(embedder, task=Momentum, optimizer=adam(2e-3)),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "moco-queue",
        "contrastive",
        "A slow copy and a queue.",
        recipe(embedder, task=Queue, optimizer=adam(2e-3)),
        steps=200,
    ),
    healthy(
        "centres-as-parameters",
        "contrastive",
        "Parameters that are really buffers.",
        recipe(lambda: he(mlp(64, 16, (64,))), task=Targets),
        steps=150,
    ),
)
