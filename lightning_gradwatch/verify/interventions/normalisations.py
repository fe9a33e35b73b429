"""Normalisations added, taken off the trunk, or given enough values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm, instancenorm

from lightning_gradwatch.verify.interventions.base import Change, Scene, done, some

# With fewer rows there is no mean of a batch worth the name: each sample is normalised by itself.
_ROWS = 8


def added(scene: Scene) -> Change | None:
    """A normalisation behind every linear or convolutional layer on the path."""
    layers = [one.name for one in scene.anatomy.layers if one.family == "linear" and one.name in scene.on_path[1:]]
    for name in layers:
        scene.modules[name].register_forward_hook(_normalised)
    return done(f"a normalisation behind {some(len(layers), 'layer')}") if layers else None


def off_the_trunk(scene: Scene) -> Change | None:
    """Transformer blocks with the normalisation inside their branches; of any other, what it takes of the gradient."""
    blocks = [one for one in scene.modules.values() if getattr(one, "norm_first", None) is False]
    for block in blocks:
        block.norm_first = True  # type: ignore[assignment]  # the flag of torch's own Transformer layers
    if blocks:
        return done(f"the normalisations of {some(len(blocks), 'block')} inside their branches")
    norms = [name for segment in scene.path if segment.family == "norm" for name in segment.modules]
    for name in dict.fromkeys(norms):
        scene.modules[name].register_forward_hook(_passed)
    count = some(len(set(norms)), "normalisation")
    return done(f"{count} letting the gradient through unchanged") if norms else None


def by_sample(scene: Scene) -> Change | None:
    """Batch and instance normalisations that take mean and variance over all of a sample's features instead."""
    kinds = (batchnorm._NormBase, instancenorm._InstanceNorm)
    norms = [one for one in scene.modules.values() if isinstance(one, kinds)]
    for norm in norms:
        norm.register_forward_hook(_of_each_sample)
    return done(f"{some(len(norms), 'normalisation')} over each sample's features") if norms else None


def _normalised(module: nn.Module, args: Any, out: Any) -> Any:
    if not isinstance(out, Tensor) or out.dim() < 2:
        return None
    is_conv = out.dim() > 2 and not isinstance(module, nn.Linear)
    dims = [0, *range(2, out.dim())] if is_conv else list(range(out.dim() - 1))
    values = out.numel() // out.shape[1 if is_conv else -1]
    return _standard(out, dims if values >= _ROWS else list(range(1, out.dim())))


def _of_each_sample(module: nn.Module, args: Any, out: Any) -> Any:
    return _standard(args[0], list(range(1, args[0].dim())))


def _passed(module: nn.Module, args: Any, out: Any) -> Any:
    """What the normalisation gives, with a gradient as if it had given back what it got."""
    given = args[0]
    return out.detach() + (given - given.detach()) if isinstance(out, Tensor) and out.shape == given.shape else None


def _standard(value: Tensor, dims: list[int]) -> Tensor:
    mean = value.mean(dims, keepdim=True)
    spread = (value - mean).square().mean(dims, keepdim=True)
    return (value - mean) * torch.rsqrt(spread + torch.finfo(value.dtype).tiny)
