"""Weights brought to the size that they should have, or had; their directions stay."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lightning_gradwatch.diagnose.losses import GAIN
from lightning_gradwatch.records import Kind, Layer
from lightning_gradwatch.verify.interventions.base import Change, Scene, done, some

# Weights whose size is this near to the wanted one are what they should be.
_ALIKE = 1.01


def to_initialisation(scene: Scene) -> Change | None:
    """The weights on the path at He's size where ReLU and its kin act on it, at Xavier's elsewhere; not redrawn."""
    acting = [name for name in scene.acting if name]
    scheme = "He" if acting and sum(GAIN.get(name, 0.0) for name in acting) > 0 else "Xavier"
    count = sum(_scale(weight, _wanted(layer, scheme)) for layer, weight in _weights(scene))
    return done(f"the weights of {some(count, 'layer')} rescaled to {scheme}'s size") if count else None


def drawn(scene: Scene) -> Change | None:
    """Weights that are all alike, drawn at random at Xavier's size."""
    count = 0
    for layer, weight in _weights(scene):
        if bool((weight == weight.flatten()[0]).all()):
            with torch.no_grad():
                weight.normal_(0.0, _wanted(layer, "Xavier"))
            count += 1
    return done(f"the constant weights of {some(count, 'layer')} drawn at random") if count else None


def to_beginning(scene: Scene) -> Change | None:
    """Every parameter of the size that it had when the fit began; its direction stays."""
    named = {name: parameter for name, parameter in scene.model.named_parameters() if scene.beginning.get(name)}
    count = sum(_scale(parameter, scene.beginning[name]) for name, parameter in named.items())
    return done(f"{some(count, 'parameter')} rescaled to their size at the beginning") if count else None


def _weights(scene: Scene) -> Iterator[tuple[Layer, Tensor]]:
    """The layers that multiply by a matrix, with their matrix: those on the path, or all where the units are ill."""
    along = scene.on_path if scene.finding.kind in (Kind.VANISHING, Kind.EXPLODING) else ()
    for layer in scene.anatomy.layers:
        weight = getattr(scene.modules.get(layer.name, nn.Identity()), "weight", None)
        if layer.family != "linear" or not layer.fan_in or not isinstance(weight, nn.Parameter):
            continue
        if not along or layer.name in along:
            yield layer, weight


def _wanted(layer: Layer, scheme: str) -> float:
    fan_in, fan_out = layer.fan_in or 1, layer.fan_out or 1
    return math.sqrt(2 / fan_in) if scheme == "He" else math.sqrt(2 / (fan_in + fan_out))


@torch.no_grad()
def _scale(weight: Tensor, wanted: float) -> bool:
    """Whether the tensor had another size than the wanted one, and has that now."""
    size = float(weight.double().square().mean().sqrt())
    if not math.isfinite(size) or size == 0.0 or 1 / _ALIKE < size / wanted < _ALIKE:
        return False
    weight.mul_(wanted / size)
    return True
