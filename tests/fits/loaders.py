"""Data in other shapes than one DataLoader of known length."""

import torch
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader, IterableDataset

from tests.callbacks.fits import data


class Stream(IterableDataset):
    """Samples without a length."""

    def __init__(self, samples):
        self.samples = samples

    def __iter__(self):
        generator = torch.Generator().manual_seed(3)
        for _ in range(self.samples):
            yield torch.randn(64, generator=generator), int(torch.randint(0, 10, (), generator=generator))


class WithGaps(list):
    """Every third batch is None."""

    def __init__(self):
        super().__init__(None if i % 3 == 2 else batch for i, batch in enumerate(data()))


def stream(batches):
    return lambda: {"train_dataloaders": DataLoader(Stream(batches * 4), 4)}


def combined(mode):
    return lambda: {"train_dataloaders": CombinedLoader([data(5), data(3)], mode)}


def validating(batches=8):
    return lambda: {"train_dataloaders": data(batches), "val_dataloaders": data(2)}


def of(loader):
    return lambda: {"train_dataloaders": loader()}
