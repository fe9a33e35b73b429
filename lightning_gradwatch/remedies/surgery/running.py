"""One forward pass of a network on a batch of its fit, of which nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gradwatch.remedies.surgery.unlabelled import accepted, inputs_of


def first_batch(batches: Callable[[], Iterable[Any]] | None) -> Any:
    """The first training batch.

    Raises:
        RuntimeError: there is none.
    """
    for batch in batches() if batches is not None else ():
        return batch
    raise RuntimeError("there is no batch to look at")


def forward(model: nn.Module, batch: Any) -> Any:
    """What the network gives for a batch: its ``forward``, or that of the one part that holds all its weights.

    Args:
        model: the network.
        batch: as the fit gets it: a tensor, inputs and targets, or a dict.

    Raises:
        NotImplementedError: it has no ``forward``, and several parts.

    Example:
        >>> forward(nn.Linear(2, 1), (torch.ones(3, 2), torch.ones(3))).shape
        torch.Size([3, 1])
    """
    called = _callable(model)
    if isinstance(batch, Mapping):
        inputs = inputs_of(batch)
        named = accepted(called, inputs)
        return called(inputs) if named is None else called(**_cast(named, called))
    inputs = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    return called(_cast(inputs, called))


def _callable(model: nn.Module) -> nn.Module:
    own = getattr(type(model), "forward", None)
    if own is not nn.Module.forward and not str(getattr(own, "__module__", "")).startswith(
        ("lightning.", "pytorch_lightning.")
    ):
        return model
    parts = [part for part in model.children() if next(part.parameters(), None) is not None]
    if len(parts) != 1:
        raise NotImplementedError(f"{type(model).__name__} has no forward")
    return parts[0]


def _cast(value: Any, model: nn.Module) -> Any:
    """Floating-point inputs in the type of the weights, as the precision of a fit casts them."""
    kind = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    if isinstance(value, Tensor):
        return value.to(kind) if value.is_floating_point() else value
    return {key: _cast(item, model) for key, item in value.items()} if isinstance(value, dict) else value


@contextmanager
def unseen(model: nn.Module) -> Iterator[None]:
    """Within, buffers may change (running statistics); afterwards they are as they were; no gradients."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with torch.no_grad():
            yield
    finally:
        for buffer, values in before:
            buffer.data.copy_(values)
