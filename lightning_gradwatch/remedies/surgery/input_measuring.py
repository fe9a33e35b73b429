"""Looks at what a network's first layers get, by letting a few batches in as far as these."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.input_scale import InputScale, scales_in
from lightning_gradwatch.remedies.surgery.moments_of_data import DataMoments

# Within these, an input is of the size that weights are made for.
_CENTRED, _NARROW, _WIDE = 0.5, 0.5, 2.0


def measure(edit: Edit, batches: Iterable[Any], most: int) -> None:
    """Fill in the standardisations of a network that are yet to be measured.

    Args:
        edit: the network, and whom to tell.
        batches: training batches.
        most: how many to look at.
    """
    looks = [_Look(edit, layer, scale) for layer, scale in scales_in(edit.model) if not int(scale.seen)]
    if looks:
        _let_in(edit, looks, islice(batches, most))
    for look in looks:
        look.data.over_ranks(look.scale.mean.device)
        look.fill()


class _Enough(BaseException):
    """Every layer has got its input: the rest of the step is not run."""


class _Look:
    """What one layer gets."""

    def __init__(self, edit: Edit, layer: nn.Module, scale: InputScale) -> None:
        self.edit, self.layer, self.scale = edit, layer, scale
        self.data = DataMoments(scale.mean.numel())
        self.learnt = False  # something trained stands before it: its input is not the data
        self.new = False  # got something of this batch

    def hook(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = next(iter((*args, *kwargs.values())), None)
        x = given.data if isinstance(given, PackedSequence) else given
        self.new = True
        if isinstance(x, Tensor) and x.is_floating_point():
            self.learnt |= x.grad_fn is not None
            self.data.add(x, self.scale.axis)

    @torch.no_grad()
    def fill(self) -> None:
        """Write down what was measured, where it is off, and say it."""
        name, data = self.edit.name_of(self.layer), self.data
        if not data.count:
            return None
        mean, std = torch.where(data.binary, 0.0, data.mean), torch.where(data.binary, 1.0, data.std())
        self.scale.seen.fill_(data.count)
        if self.learnt:
            return self.edit.leave(f"{name}: what it gets is computed by layers that learn, and stays as it is.")
        if data.binary.all():
            return self.edit.leave(f"{name}: its input is zeros and ones, and stays as it is.")
        if (mean.abs() < _CENTRED).all() and ((std > _NARROW) & (std < _WIDE)).all():
            return self.edit.leave(f"{name}: its input is standardised already.")
        self.scale.mean.copy_(mean)
        self.scale.std.copy_(std)
        told = f"{_range(mean)}, a standard deviation of {_range(std)}"
        return self.edit.change(name, f"{name}: its input had a mean of {told}, and has 0 and 1 now.")


def _range(values: Tensor) -> str:
    low, high = f"{float(values.min()):.3g}", f"{float(values.max()):.3g}"
    return low if low == high else f"{low} to {high}"


def _let_in(edit: Edit, looks: list[_Look], batches: Iterable[Any]) -> None:
    """Run the beginnings of steps; the buffers of the network are as before, whatever ran."""
    model = edit.model
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    # Of a step that moves the weights by itself nothing may run behind the first layer.
    at_first = not getattr(model, "automatic_optimization", True)

    def enough(*_: Any) -> None:
        if at_first or all(look.new for look in looks):
            raise _Enough

    handles = [look.layer.register_forward_pre_hook(enough, prepend=True) for look in looks]
    handles += [look.layer.register_forward_pre_hook(look.hook, prepend=True, with_kwargs=True) for look in looks]
    try:
        for place, batch in enumerate(batches):
            for look in looks:
                look.new = False
            try:
                _step(model, batch, place)
            except _Enough:
                continue
    except Exception as error:  # of the user's step, which the fit will meet by itself
        edit.leave(f"A batch could not be let in: {type(error).__name__}: {error}".splitlines()[0])
    finally:
        for handle in handles:
            handle.remove()
        with torch.no_grad():
            for buffer, values in kept:
                buffer.copy_(values)


def _step(model: Any, batch: Any, place: int) -> None:
    if hasattr(model, "training_step"):
        takes = inspect.signature(model.training_step).parameters
        if "dataloader_iter" not in takes:
            model.training_step(*(batch, place)[: max(1, min(2, len(takes)))])
    elif isinstance(batch, Mapping):
        takes = inspect.signature(model.forward).parameters
        model(**{key: value for key, value in batch.items() if key in takes})
    else:
        model(batch[0] if isinstance(batch, (list, tuple)) else batch)
