"""The independent measurement of one network: plain autograd in float64 at the outputs of its layers.

Uses nothing of lightning_gradwatch: neither its ledger nor its statistics.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from activity import activity
from torch import nn

RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
_MOST_BATCHES = 64  # of the pass over the training set: all of it for the data used here


def measured(module: Any, batch: Any, loader: Any = ()) -> dict[str, Any]:
    """What a network is like now, on a float64 copy: gradients at layer outputs, dead units, slopes, finiteness.

    Args:
        module: the LightningModule; stays as it is.
        batch: the batch that the gradients are taken on.
        loader: the training set, for the share of dead units.
    """
    twin = copy.deepcopy(module).double()
    batch = as_double(batch)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        gradients = _gradients(twin, batch)
        return {
            **gradients,
            **activity(
                copy.deepcopy(module).double(), [batch, *_some(loader)], lambda twin, one: loss_of(twin, as_double(one))
            ),
        }


def as_double(batch: Any) -> Any:
    """A batch with its floating-point tensors in float64."""
    if isinstance(batch, torch.Tensor):
        return batch.double() if batch.is_floating_point() else batch
    if isinstance(batch, dict):
        return {key: as_double(value) for key, value in batch.items()}
    return type(batch)(map(as_double, batch)) if isinstance(batch, (tuple, list)) else batch


def loss_of(module: Any, batch: Any) -> torch.Tensor | None:
    """The loss of one batch; a manually optimised module says it in a method ``measured_loss(batch)``."""
    if hasattr(module, "measured_loss"):
        return module.measured_loss(batch)
    if not module.automatic_optimization:
        return None
    out = module.training_step(batch, 0)
    return out["loss"] if isinstance(out, dict) else out


def _gradients(module: Any, batch: Any) -> dict[str, Any]:
    module.zero_grad(set_to_none=True)
    taps: dict[str, list[torch.Tensor]] = {}
    with _tapped(module, taps):
        loss = loss_of(module, batch)
    outputs = [(name, tensor) for name, tensors in taps.items() for tensor in tensors]
    parameters = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    wanted = [tensor for _, tensor in (*outputs, *parameters)]
    if loss is None or not loss.requires_grad:
        return {
            "loss": None if loss is None else loss.item(),
            "flow": {},
            "time": {},
            "silent": [n for n, _ in parameters],
        }
    got = torch.autograd.grad(loss, wanted, allow_unused=True)
    flow: dict[str, list[float]] = {}
    for (name, tensor), grad in zip(outputs, got, strict=False):
        flow.setdefault(name, []).extend(_by_time(module, name, grad, tensor))
    own = [grad.to_dense() if grad is not None and grad.is_sparse else grad for grad in got[len(outputs) :]]
    return {
        "loss": loss.item(),
        "flow": {name: _log10(math.hypot(*norms)) for name, norms in flow.items() if not name.endswith("@input")},
        "time": {name.removesuffix("@input"): [*map(_log10, norms)] for name, norms in flow.items() if len(norms) > 1},
        "silent": [name for (name, _), grad in zip(parameters, own, strict=True) if grad is None or not grad.any()],
        "finite": bool(torch.isfinite(loss)) and all(bool(torch.isfinite(g).all()) for g in own if g is not None),
    }


def _by_time(module: Any, name: str, grad: torch.Tensor | None, tensor: torch.Tensor) -> list[float]:
    """Norm of one gradient; at the input of a recurrent layer one for every time step."""
    if grad is None:
        return [0.0]
    if not name.endswith("@input") or tensor.dim() < 3:
        return [float(grad.norm())]
    layer = module.get_submodule(name.removesuffix("@input"))
    return [float(step.norm()) for step in grad.unbind(1 if layer.batch_first else 0)]


@contextmanager
def _tapped(module: Any, taps: dict[str, list[torch.Tensor]]) -> Iterator[None]:
    """Keeps the outputs of leaf modules, and the inputs of recurrent ones, of the forward passes made in it."""
    handles = []
    for name, layer in module.named_modules():
        if any(True for _ in layer.children()) and not isinstance(layer, nn.MultiheadAttention):
            continue
        handles.append(layer.register_forward_hook(_keep_output(name, taps)))
        if isinstance(layer, RECURRENT):
            handles.append(layer.register_forward_pre_hook(_keep_input(name, taps)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keep_output(name: str, taps: dict[str, list[torch.Tensor]]) -> Any:
    def hook(layer: Any, args: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple) else output
        if not isinstance(first, torch.Tensor) or not first.requires_grad:
            return None
        # A twin that an in-place operation may change without spoiling the one that is kept.
        taps.setdefault(name, []).append(first)
        twin = first.clone()
        return (twin, *output[1:]) if isinstance(output, tuple) else twin

    return hook


def _keep_input(name: str, taps: dict[str, list[torch.Tensor]]) -> Any:
    def hook(layer: Any, args: Any) -> Any:
        if not isinstance(args[0], torch.Tensor):
            packed = args[0]
            data = packed.data if packed.data.requires_grad else packed.data.clone().requires_grad_()
            starts = [0, *packed.batch_sizes.cumsum(0).tolist()]
            rows = [data[a:b].clone() for a, b in itertools.pairwise(starts)]
            taps.setdefault(f"{name}@input", []).extend(rows)
            return (packed._replace(data=torch.cat(rows)), *args[1:])
        first = args[0].clone()
        first = first if first.requires_grad else first.requires_grad_()
        taps.setdefault(f"{name}@input", []).append(first)
        return (first.clone(), *args[1:])

    return hook


def _some(loader: Any) -> Iterator[Any]:
    for i, batch in enumerate(loader):
        if i == _MOST_BATCHES:
            return
        yield batch


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else (-math.inf if value == 0 else math.nan)
