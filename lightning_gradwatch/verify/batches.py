"""Batches out of whatever holds data, and copies of a batch that a network may do anything with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.errors import WrongArgument


def take(data: Any, count: int) -> list[Any]:
    """The first batches, at most so many; at least one.

    A tensor, a tuple, a dict, anything with a ``to``, and a list that holds a tensor are one batch; any other list and
    any other iterable are batches.  A LightningDataModule is prepared and set up as a fit does it.

    Raises:
        WrongArgument: it is nothing of this kind, or holds no batch.

    Example:
        >>> x, y = torch.zeros(4, 2), torch.zeros(4)
        >>> len(take((x, y), 3)), len(take([(x, y), (x, y)], 3))
        (1, 2)
    """
    if hasattr(data, "train_dataloader"):
        data = _loader(data)
        if data is None:
            raise WrongArgument("data", "a source of batches", "a train_dataloader that gives None")
    if is_batch(data):
        return [data]
    if _holds_loaders(data) or not isinstance(data, Iterable) or isinstance(data, (str, bytes)):
        raise WrongArgument("data", "a batch, batches, a DataLoader or a LightningDataModule", type(data).__name__)
    with _generators_kept(data):
        found = list(itertools.islice(data, count))
    if not found:
        raise WrongArgument("data", "at least one batch", f"{type(data).__name__} without any")
    return found


def is_batch(data: Any) -> bool:
    """Whether it is one batch, not a source of batches."""
    if _holds_loaders(data):
        return False
    if isinstance(data, list):
        return any(isinstance(item, Tensor) for item in data)
    return isinstance(data, (Tensor, Mapping, tuple)) or hasattr(data, "to")


def _holds_loaders(data: Any) -> bool:
    parts = data.values() if isinstance(data, Mapping) else data if isinstance(data, (list, tuple)) else ()
    return any(hasattr(part, "collate_fn") for part in parts)


def _loader(source: Any) -> Any:
    """What the fit would train on."""
    source.prepare_data()
    if not hasattr(source, "training_step"):  # a module is set up already
        source.setup("fit")
    loader = source.train_dataloader()
    loader = getattr(loader, "iterables", loader)  # Lightning's CombinedLoader
    return _Together(loader) if _holds_loaders(loader) else loader


class _Together:
    """Several loaders as Lightning joins them: one batch of each at a time, the shorter ones from the start again."""

    def __init__(self, loaders: Any) -> None:
        self.loaders = loaders

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.loaders, Mapping):
            for parts in self._rows(list(self.loaders.values())):
                yield dict(zip(self.loaders, parts, strict=True))
        else:
            yield from map(list, self._rows(list(self.loaders)))

    @staticmethod
    def _rows(loaders: list[Any]) -> Iterator[tuple[Any, ...]]:
        longest = max(range(len(loaders)), key=lambda i: len(loaders[i]))
        return zip(*(one if i == longest else itertools.cycle(one) for i, one in enumerate(loaders)), strict=False)


@contextmanager
def _generators_kept(loader: Any) -> Iterator[None]:
    """A loader's own generators draw the same numbers afterwards as if nobody had asked it."""
    holders = [loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)]
    if isinstance(loader, _Together):
        holders = [*(loader.loaders.values() if isinstance(loader.loaders, Mapping) else loader.loaders)]
        holders += [getattr(one, "sampler", None) for one in holders]
    found = [getattr(holder, "generator", None) for holder in holders]
    states = [(one, one.get_state()) for one in found if isinstance(one, torch.Generator)]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


def fresh(batch: Any, device: torch.device | None = None) -> Any:
    """A copy of the batch, on that device or where it is: what a network does to it in place stays in the copy."""
    if isinstance(batch, Tensor):
        return batch.detach().to(device=device, copy=True).requires_grad_(batch.requires_grad)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(fresh(item, device) for item in batch))
    if type(batch) in (list, tuple):
        return type(batch)(fresh(item, device) for item in batch)
    if type(batch) is dict:
        return {key: fresh(item, device) for key, item in batch.items()}
    clone = getattr(batch, "clone", None)  # torch_geometric's Data
    batch = clone() if callable(clone) else batch
    return batch.to(device) if device is not None and hasattr(batch, "to") else batch
