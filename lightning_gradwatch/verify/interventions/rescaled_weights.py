"""Weights brought to the size that they should have, or had; their directions stay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lightning_gradwatch.diagnose.losses import GAIN
from lightning_gradwatch.records import Kind
from lightning_gradwatch.verify.interventions.base import Change, Scene, done, some

# Weights whose size is this near to the wanted one are what they should be.
_ALIKE = 1.01


def to_initialisation(scene: Scene) -> Change | None:
    """The weights on the path at He's size where ReLU and its kin act on it, at Xavier's elsewhere; not redrawn."""
    acting = [name for name in scene.acting if name]
    scheme = "He" if acting and sum(GAIN.get(name, 0.0) for name in acting) > 0 else "Xavier"
    resized = [[_resize(one, _wanted(one, scheme)) for one in matrices] for matrices in _matrices(scene)]
    if any(None in of_layer for of_layer in resized):  # what comes back would be told too small
        return None
    count = sum(map(any, resized))
    return done(f"the weights of {some(count, 'layer')} rescaled to {scheme}'s size") if count else None


def drawn(scene: Scene) -> Change | None:
    """Weights that are all alike, drawn at random at Xavier's size."""
    constant = [one for matrices in _matrices(scene) for one in matrices if _is_constant(one.weight)]
    for one in constant:
        with torch.no_grad():
            one.weight.normal_(0.0, _wanted(one, "Xavier"))
    return done(f"the constant weights of {some(len(constant), 'layer')} drawn at random") if constant else None


def to_beginning(scene: Scene) -> Change | None:
    """Every parameter of the size that it had when the fit began; its direction stays.

    Units that a step has killed are dead by the direction of their weights, which their size does not bring back.
    """
    if scene.finding.kind is Kind.DEAD_UNITS:
        return None
    named = [(parameter, scene.beginning.get(name)) for name, parameter in scene.model.named_parameters()]
    count = sum(_multiply(parameter, _factor(parameter, size)) for parameter, size in named if size)
    return done(f"the {some(count, 'parameter')} rescaled to the size at the beginning") if count else None


class _Matrix(NamedTuple):
    """What a layer multiplies by."""

    owner: nn.Module
    name: str
    fan_in: int
    fan_out: int

    @property
    def weight(self) -> Tensor:
        return getattr(self.owner, self.name)


def _matrices(scene: Scene) -> Iterator[list[_Matrix]]:
    """Those of each layer on the path; of every layer where the finding is not about a path."""
    along = scene.on_path if scene.finding.kind in (Kind.VANISHING, Kind.EXPLODING) else ()
    for layer in scene.anatomy.layers:
        module = scene.modules.get(layer.name)
        if module is None or (along and layer.name not in along):
            continue
        if layer.family == "linear":
            yield [_Matrix(module, "weight", layer.fan_in or 1, layer.fan_out or 1)]
        if layer.family == "recurrent":
            width = int(getattr(module, "hidden_size", 1))
            own = [name for name, _ in module.named_parameters(recurse=False) if name.startswith("weight_")]
            yield [_Matrix(module, name, getattr(module, name).shape[1], width) for name in own]


def _is_constant(weight: Tensor) -> bool:
    return bool((weight == weight.flatten()[0]).all())


def _wanted(one: _Matrix, scheme: str) -> float:
    """Root mean square that the scheme gives: He et al. (2015), equation 14; Glorot & Bengio (2010), equation 12."""
    return math.sqrt(2 / one.fan_in) if scheme == "He" else math.sqrt(2 / (one.fan_in + one.fan_out))


def _resize(one: _Matrix, wanted: float) -> bool | None:
    """Whether it had another size than the wanted one, and has that now; None: it cannot be given that."""
    factor = _factor(one.weight, wanted)
    if isinstance(one.weight, nn.Parameter) or factor == 1.0:
        return _multiply(one.weight, factor)
    if not parametrize.is_parametrized(one.owner, one.name):  # computed by a hook, from something else
        return None
    setattr(one.owner, one.name, one.weight.detach() * factor)
    return True if _factor(one.weight, wanted) == 1.0 else None  # a spectral norm is 1, whatever is asked for


def _factor(weight: Tensor, wanted: float) -> float:
    """What brings the tensor to that size; 1 where it has it, or none."""
    size = float(weight.detach().double().square().mean().sqrt())
    alike = not math.isfinite(size) or size == 0.0 or 1 / _ALIKE < size / wanted < _ALIKE
    return 1.0 if alike else wanted / size


@torch.no_grad()
def _multiply(weight: Tensor, factor: float) -> bool:
    if factor != 1.0:
        weight.mul_(factor)
    return factor != 1.0
