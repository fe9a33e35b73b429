"""Real data that needs no download: the 1,797 handwritten digits of 8x8 pixels that ship with scikit-learn."""

from __future__ import annotations

import functools

import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from lightning_gradwatch.errors import MissingExtra

Batch = tuple[torch.Tensor, torch.Tensor]


@functools.cache
def digits() -> TensorDataset:
    """Pixels (1797, 64), mean 0 and standard deviation 1 over all of them, and classes (1797,).

    Raises:
        MissingExtra: scikit-learn is not installed.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository (1998).
    """
    try:
        from sklearn.datasets import load_digits  # an extra, and a second to import
    except ImportError as error:
        raise MissingExtra("scikit-learn", "the digits data of the example cases", "demo") from error
    pixels, classes = load_digits(return_X_y=True)
    x = torch.tensor(pixels, dtype=torch.float32)
    return TensorDataset((x - x.mean()) / x.std(), torch.tensor(classes, dtype=torch.int64))


def training_batches(batch_size: int = 64, seed: int = 0) -> DataLoader[tuple[torch.Tensor, ...]]:
    """Shuffled batches (batch, 64), (batch,) of four digits in five; the order depends on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(Subset(digits(), _indices(held_out=False)), batch_size, shuffle=True, generator=generator)


def held_out() -> Batch:
    """The pixels and classes of every fifth digit, which no case is trained on."""
    indices = _indices(held_out=True)
    x, y = digits().tensors
    return x[indices], y[indices]


def _indices(*, held_out: bool) -> list[int]:
    return [i for i in range(len(digits())) if (i % 5 == 0) is held_out]
