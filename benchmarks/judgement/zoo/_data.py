"""Real data that ships with scikit-learn and with Python itself, as loaders whose order depends on the seed alone."""

from __future__ import annotations

import functools
from collections.abc import Callable

import sklearn.datasets
import torch
from torch.utils.data import DataLoader, TensorDataset

Loader = DataLoader[tuple[torch.Tensor, ...]]

_TEXT_WINDOW = 32


@functools.cache
def table(name: str, *, standardised: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and target of ``sklearn.datasets.load_<name>``; regression targets are standardised too."""
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    features = torch.tensor(x, dtype=torch.float32)
    if standardised:
        pixels = name == "digits"  # keep empty pixels empty: one scale for all of them
        spread = features.std() if pixels else features.std(0).clamp_min(1e-6)
        features = (features - (features.mean() if pixels else features.mean(0))) / spread
    if y.dtype.kind == "i":
        return features, torch.tensor(y, dtype=torch.int64)
    target = torch.tensor(y, dtype=torch.float32).reshape(len(x), -1)
    return features, (target - target.mean(0)) / target.std(0)


@functools.cache
def text() -> torch.Tensor:
    """The bytes of Python's own documentation of its statements, as integers below 128."""
    from pydoc_data.topics import topics

    words = "\n".join(topics[name] for name in sorted(topics)[:40])
    return torch.tensor([min(byte, 127) for byte in words.encode("ascii", "replace")])


def batches(tensors: tuple[torch.Tensor, ...], seed: int, size: int = 64, *, drop_last: bool = True) -> Loader:
    """Shuffled batches."""
    order = torch.Generator().manual_seed(seed)
    return DataLoader(TensorDataset(*tensors), size, shuffle=True, generator=order, drop_last=drop_last)


def digits(seed: int, size: int = 64, change: Callable[[torch.Tensor], torch.Tensor] | None = None) -> Loader:
    """Handwritten digits: (batch, 64) pixels and classes; ``change`` is applied to all pixels."""
    x, y = table("digits")
    return batches((x if change is None else change(x), y), seed, size)


def raw_digits(seed: int, factor: float = 1.0) -> Loader:
    """Digits as they come, 0 to 16, times a factor."""
    x, y = table("digits", standardised=False)
    return batches((x * factor, y), seed)


def passages(seed: int, length: int = _TEXT_WINDOW, count: int = 2048) -> Loader:
    """Windows of text and the byte that follows: (batch, length), (batch,)."""
    windows = text().unfold(0, length + 1, 7)[:count]
    return batches((windows[:, :-1].contiguous(), windows[:, -1].contiguous()), seed)
