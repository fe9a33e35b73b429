"""Units whose bias is such that half of what they see is above zero."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lightning_gradwatch.verify.interventions.base import Change, Scene, done, some


def centred_units(scene: Scene) -> Change | None:
    """The layers with dead units, each unit shifted by its own median over the batch."""
    layers = [scene.modules[name] for name in scene.finding.layers if name in scene.modules]
    for layer in layers:
        layer.register_forward_hook(_centred)
    return done(f"the biases of {some(len(layers), 'layer')} set so that half of the values pass") if layers else None


def _centred(module: nn.Module, args: Any, out: Any) -> Any:
    if not isinstance(out, Tensor) or out.dim() < 2 or not out.is_floating_point():
        return None
    channels = 1 if out.dim() > 2 and not isinstance(module, nn.Linear) else out.dim() - 1
    by_unit = out.detach().movedim(channels, 0).flatten(1)
    shape = [1] * out.dim()
    shape[channels] = -1
    return out - by_unit.median(dim=1).values.reshape(shape)
