"""Data: the batches of a fit, looked at without disturbing its own pass over them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any


def training_batches(trainer: Any) -> Iterator[Any]:
    """The batches that the fit trains on, on its device, as the network gets them.

    The fit's own pass over its loaders is not disturbed: neither workers that stay alive nor generators of random
    numbers are shared with it.  A stream that can be read only once gives nothing.
    """
    if reads_once(trainer):
        return
    combined = trainer.fit_loop._combined_loader
    fresh = copy.copy(combined)
    fresh._iterator = None
    fresh.flattened = [_own_workers(loader) for loader in combined.flattened]
    generators = _generators(combined.flattened)
    states = [generator.get_state() for generator in generators]
    try:
        for batch, _, _ in fresh:
            converted = trainer.precision_plugin.convert_input(batch)
            converted = trainer.lightning_module._on_before_batch_transfer(converted, dataloader_idx=0)
            yield trainer.strategy.batch_to_device(converted, dataloader_idx=0)
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def reads_once(trainer: Any) -> bool:
    """Whether a loader of the fit is a stream, which gives its batches once."""
    combined = trainer.fit_loop._combined_loader
    if combined is None:
        return True
    return any(iter(loader) is loader for loader in combined.flattened if hasattr(loader, "__next__"))


def _own_workers(loader: Any) -> Any:
    """The same loader with workers of its own, where its workers stay alive from pass to pass."""
    if getattr(loader, "_iterator", None) is None:
        return loader
    own = copy.copy(loader)
    own._iterator = None
    return own


def _generators(loaders: Any) -> list[Any]:
    """The generators of random numbers that loaders and their samplers bring along."""
    holders = [part for one in loaders for part in (one, getattr(one, "sampler", None), _sampler_inside(one))]
    found = [getattr(holder, "generator", None) for holder in holders]
    return list({id(one): one for one in found if hasattr(one, "get_state") and hasattr(one, "set_state")}.values())


def _sampler_inside(loader: Any) -> Any:
    return getattr(getattr(loader, "batch_sampler", None), "sampler", None)
