"""Layer-sequential unit variance: weights scaled until every layer's output varies by 1 on a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gradwatch.remedies.surgery.drawing import put
from lightning_gradwatch.remedies.surgery.running import forward, unseen

_NEAR = 0.02  # of the variance; the paper's Tol is 0.1
_SWEEPS = 10  # the paper's T


def equalise(model: nn.Module, layers: Iterable[nn.Module], batch: Any, variance: float = 1.0) -> list[nn.Module]:
    """Scale the weights of layers, in the order in which they are called, to outputs of a variance.

    Mishkin & Matas, All you need is a good init (2016), algorithm 1.  Its loop over layers is one forward pass here:
    each layer hands on what it will give with its new weights.

    Args:
        model: the network.
        layers: linear and convolutional ones.
        batch: a training batch.
        variance: that their outputs should have.

    Returns:
        The layers whose output varies by that much now.
    """
    wanted = {id(layer): layer for layer in layers}
    near: set[int] = set()
    for _ in range(_SWEEPS):
        sweep = _Sweep(variance)
        handles = [layer.register_forward_hook(sweep) for layer in wanted.values()]
        try:
            with unseen(model):
                forward(model, batch)
        finally:
            for handle in handles:
                handle.remove()
        near = sweep.near
        if near == sweep.called:
            break
    return [layer for key, layer in wanted.items() if key in near]


class _Sweep:
    """A forward hook that scales each layer once."""

    def __init__(self, variance: float) -> None:
        self.variance = variance
        self.called: set[int] = set()
        self.near: set[int] = set()

    def __call__(self, layer: Any, given: Any, output: Tensor) -> Tensor | None:
        if id(layer) in self.called:
            return None
        self.called.add(id(layer))
        now = float(output.detach().float().var(correction=0))
        if abs(now - self.variance) <= _NEAR * self.variance:
            self.near.add(id(layer))
            return None
        if not 0 < now < float("inf"):
            return None
        factor = (self.variance / now) ** 0.5
        with torch.no_grad():
            put(layer, "weight", layer.weight * factor)
        bias = 0 if layer.bias is None else _beside(layer.bias, output, layer)
        return (output - bias) * factor + bias


def _beside(bias: Tensor, output: Tensor, layer: nn.Module) -> Tensor:
    """A bias in the shape of the output, whose channels come last in a linear layer."""
    if isinstance(layer, (nn.Linear, nn.Bilinear)):
        return bias
    spatial = len(layer.kernel_size)  # type: ignore[arg-type]
    return bias.reshape(-1, *[1] * spatial)
