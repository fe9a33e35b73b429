"""A batch goes through a network without its labels."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# The keys under which a dict of a batch has its labels.
_LABELS = ("labels", "label", "targets", "target", "y")
_HOSTS = ("torch.", "lightning.", "pytorch_lightning.")


def inputs_of(batch: Any) -> Any:
    """A batch without its labels: all of a tuple but its last, all of a dict but what is called so.

    Example:
        >>> inputs_of(("x", "y")), inputs_of({"x": 1, "labels": 2}), inputs_of(("a", "b", "y"))
        ('x', {'x': 1}, ('a', 'b'))
    """
    if isinstance(batch, Mapping):
        return {key: value for key, value in batch.items() if key not in _LABELS}
    if isinstance(batch, (tuple, list)) and batch:
        inputs = tuple(batch[:-1]) if len(batch) > 1 else tuple(batch)
        return inputs[0] if len(inputs) == 1 else inputs
    return batch


def compute(model: nn.Module, batch: Any) -> None:
    """Have a network compute on a batch, for the sake of what its layers see on the way.

    By its ``forward`` from the inputs alone.  A LightningModule without one of its own runs its ``training_step``,
    which is given the whole batch; whoever stops before the loss sees no label there either.

    Raises:
        RuntimeError: it has neither, or steps its optimizers itself.
        Exception: whatever its code raises.
    """
    if not type(model).forward.__module__.startswith(_HOSTS) or not hasattr(model, "training_step"):
        _forward(model, inputs_of(batch))
    elif not getattr(model, "automatic_optimization", True):
        raise RuntimeError("it has no forward, and its training_step steps the optimizers itself")
    else:
        step: Any = model.training_step
        with _silent(model):
            step(*((batch, 0) if len(inspect.signature(step).parameters) > 1 else (batch,)))


def _forward(model: nn.Module, inputs: Any) -> None:
    if isinstance(inputs, tuple):
        model(*inputs)
    elif isinstance(inputs, Mapping):
        named = accepted(model, inputs)
        model(inputs) if named is None else model(**named)
    else:
        model(inputs)


def accepted(model: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """What ``forward`` takes by name; None: it takes them as a whole."""
    parameters = inspect.signature(model.forward).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(inputs)
    wanted = [p.name for p in parameters if p.default is p.empty]
    return {p.name: inputs[p.name] for p in parameters if p.name in inputs} if set(wanted) <= set(inputs) else None


@contextmanager
def _silent(module: Any) -> Iterator[None]:
    """Within, ``self.log`` says nothing: this is no step of the fit."""
    names = ("log", "log_dict")
    before = {name: module.__dict__[name] for name in names if name in module.__dict__}
    for name in names:
        module.__dict__[name] = lambda *args, **kwargs: None
    try:
        yield
    finally:
        for name in names:
            module.__dict__.pop(name)
        module.__dict__.update(before)


def on_device_of(model: nn.Module, batch: Any) -> Any:
    """A copy of a batch where the network is, of its precision: what is done to it in place stays in the copy."""
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    if isinstance(batch, Tensor):
        kind = like.dtype if batch.is_floating_point() else batch.dtype
        return batch.detach().to(like.device, kind, copy=True)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(on_device_of(model, item) for item in batch))
    if type(batch) in (list, tuple):
        return type(batch)(on_device_of(model, item) for item in batch)
    if type(batch) is dict:
        return {key: on_device_of(model, item) for key, item in batch.items()}
    move: Any = getattr(batch, "to", None)
    return batch if move is None else move(like.device)
