"""Real data that ships with packages, cut into what is learned from and what is held out."""

from __future__ import annotations

import pydoc_data.topics
from dataclasses import dataclass, replace
from functools import cache

import torch
from sklearn import datasets
from torch.utils.data import DataLoader, TensorDataset

HELD_OUT = 0.25


@dataclass(frozen=True)
class Table:
    """Inputs and targets to learn from, and those that nothing is learned from."""

    x: torch.Tensor
    y: torch.Tensor
    held_x: torch.Tensor
    held_y: torch.Tensor

    def on(self, change) -> Table:
        """The same table with its inputs changed."""
        return replace(self, x=change(self.x), held_x=change(self.held_x))

    def targets(self, change) -> Table:
        """The same table with its targets changed."""
        return replace(self, y=change(self.y), held_y=change(self.held_y))

    def loader(self, batch: int, seed: int) -> DataLoader:
        """Shuffled batches, the same ones for the same seed."""
        order = torch.Generator().manual_seed(seed)
        return DataLoader(TensorDataset(self.x, self.y), batch_size=batch, shuffle=True, generator=order)


def split(x: torch.Tensor, y: torch.Tensor, seed: int = 0) -> Table:
    """A quarter is held out, drawn by the seed."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1000 + seed))
    held, learned = order[: int(len(x) * HELD_OUT)], order[int(len(x) * HELD_OUT) :]
    return Table(x[learned], y[learned], x[held], y[held])


@cache
def _raw(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    made = getattr(datasets, f"load_{name}")()
    y = torch.as_tensor(made.target)
    return torch.as_tensor(made.data, dtype=torch.float32), y if name != "diabetes" else y.float()


def digits(seed: int = 0) -> Table:
    """1,797 handwritten digits of 8 x 8 pixels, 0 to 1."""
    x, y = _raw("digits")
    return split(x / 16, y, seed)


def images(seed: int = 0) -> Table:
    """The digits as images of one channel."""
    return digits(seed).on(lambda x: x.reshape(-1, 1, 8, 8))


def rows(seed: int = 0) -> Table:
    """The digits read row by row: 8 steps of 8 pixels."""
    return digits(seed).on(lambda x: x.reshape(-1, 8, 8))


def pixels(seed: int = 0) -> Table:
    """The digits read pixel by pixel: 64 steps of one number."""
    return digits(seed).on(lambda x: x.reshape(-1, 64, 1))


def standardised(name: str, seed: int = 0) -> Table:
    """One of scikit-learn's tables, every column with mean 0 and deviation 1 (and the target where it is a number)."""
    x, y = _raw(name)
    y = (y - y.mean(0)) / y.std(0) if y.is_floating_point() else y
    return split((x - x.mean(0)) / x.std(0), y.reshape(-1, 1) if y.is_floating_point() else y, seed)


def exercise(seed: int = 0) -> Table:
    """Linnerud: 20 people, three exercises, three measures of the body."""
    made = datasets.load_linnerud()
    x, y = (torch.as_tensor(part, dtype=torch.float32) for part in (made.data, made.target))
    return split((x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0), seed)


@cache
def text(limit: int = 60_000) -> torch.Tensor:
    """Bytes of the help topics that come with Python."""
    joined = "\n".join(pydoc_data.topics.topics[key] for key in sorted(pydoc_data.topics.topics))
    return torch.frombuffer(bytearray(joined[:limit].encode("ascii", "replace")), dtype=torch.uint8).long()


def next_bytes(length: int, seed: int = 0) -> Table:
    """Windows of text and the same windows one byte later."""
    read = text()
    windows = read[: (len(read) - 1) // length * length].reshape(-1, length)
    return split(windows, read[1 : windows.numel() + 1].reshape(-1, length), seed)


def last_byte(length: int, seed: int = 0) -> Table:
    """Windows of text and the one byte that follows."""
    table = next_bytes(length, seed)
    return table.targets(lambda y: y[:, -1])


@cache
def _topics() -> tuple[torch.Tensor, torch.Tensor]:
    longest = sorted(pydoc_data.topics.topics, key=lambda key: -len(pydoc_data.topics.topics[key]))[:4]
    pieces, labels = [], []
    for label, key in enumerate(longest):
        raw = pydoc_data.topics.topics[key].encode("ascii", "replace")[:24_000]
        read = torch.frombuffer(bytearray(raw), dtype=torch.uint8).long()
        cut = read[: len(read) // 48 * 48].reshape(-1, 48)
        pieces.append(cut)
        labels.append(torch.full((len(cut),), label))
    return torch.cat(pieces), torch.cat(labels)


def topics(seed: int = 0) -> Table:
    """Pieces of 48 bytes of Python's four longest help topics, and which topic each is from."""
    return split(*_topics(), seed)
