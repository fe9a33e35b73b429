"""Splits the decades that a ledger lost between activations, weights, recurrent layers and the bare number of layers.

Every operation may lose a little without harm: only the product over many of them hurts, and that is depth.  What one
loses beyond that is its activation's fault or its weights':

- an activation is charged what it loses beyond what good initial weights would make up for (a ReLU halves the mean
  square of the gradient and He's weights double it: He et al. 2015, equation 14; Xavier's weights assume a slope of 1:
  Glorot & Bengio 2010, equation 11);
- the weights are charged what they fall short of that gain;
- a recurrent layer that autograd shows as one operation is charged what it loses as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_gradwatch.records import Anatomy, Ledger, Segment
from lightning_gradwatch.records.flow import charged, path_to

# A factor of 0.9 is harmless in a shallow network: what an operation loses up to here is charged to depth.
MILD = 0.05
# Decades that He's initialisation gives back at each of these activations: half of log10(2) where half of the slopes
# are 1 and half are 0.  Everything else is initialised with Xavier's gain of 1.
_HE = 0.5 * math.log10(2)
GAIN = {"Relu": _HE, "LeakyRelu": _HE, "PreluKernel": _HE, "Elu": 0.09, "Gelu": _HE, "Silu": _HE}


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Where the decades between the head and the most starved layer went; all are losses, as positive numbers."""

    activation: float
    weights: float
    recurrence: float
    depth: float
    layers: int  # layers on the way
    total: float  # net decades lost on the way
    activations: tuple[tuple[str, int], ...]  # (operation, how many segments), most first
    activation_decades: float  # plain sum over the activations' segments (negative = lost)
    weight_decades: float  # plain sum over the linear segments
    recurrent_layers: int  # segments that are one recurrent operation
    expected_gain: float  # decades that well-scaled weights would give at one activation
    slope: float | None  # mean over the activations of mean slope / largest slope


def split(ledger: Ledger, layer: str, anatomy: Anatomy) -> Losses:
    """Attribute what was lost between the head and that layer."""
    # Where the gradient underflows to zero there is no telling by how much: the way down to there is explained.
    path = [s for s in path_to(ledger, layer) if charged(s) == s.decades and math.isfinite(s.decades)]
    acting = [s for s in path if s.family == "activation"]
    linear = [s for s in path if s.family == "linear"]
    gain = _expected_gain(acting)
    activation = [max(0.0, -s.decades - GAIN.get(s.operations[0].name, 0.0)) for s in acting]
    weights = [max(0.0, gain + _shape(s, anatomy) - s.decades) for s in linear]
    recurrent = [max(0.0, -s.decades) for s in path if s.family == "recurrent"]
    rest = [max(0.0, -s.decades) for s in path if s.family not in ("activation", "linear", "recurrent")]
    slopes = [s.slope for s in acting if s.slope is not None]
    layers = max(1, len({s.layer for s in path}))
    return Losses(
        activation=_beyond_mild(activation),
        weights=_beyond_mild(weights),
        recurrence=_beyond_mild(recurrent),
        depth=_mild(activation) + _mild(weights) + _mild(recurrent) + math.fsum(rest),
        layers=layers,
        total=-math.fsum(s.decades for s in path),
        activations=_count(acting),
        activation_decades=math.fsum(s.decades for s in acting),
        weight_decades=math.fsum(s.decades for s in linear),
        recurrent_layers=len(recurrent),
        expected_gain=gain,
        slope=math.fsum(slopes) / len(slopes) if slopes else None,
    )


def _beyond_mild(losses: Sequence[float]) -> float:
    return math.fsum(max(0.0, loss - MILD) for loss in losses)


def _mild(losses: Sequence[float]) -> float:
    return math.fsum(min(loss, MILD) for loss in losses)


def _expected_gain(acting: Sequence[Segment]) -> float:
    gains = [GAIN.get(s.operations[0].name, 0.0) for s in acting]
    return math.fsum(gains) / len(gains) if gains else 0.0


def _shape(segment: Segment, anatomy: Anatomy) -> float:
    """Decades that Xavier's weights give a gradient from n_out values to n_in (Glorot & Bengio 2010, equation 16)."""
    layers = [layer for name in segment.modules if (layer := anatomy.layer(name)) is not None]
    if len(layers) != 1 or not layers[0].fan_in or not layers[0].fan_out:
        return 0.0
    fan_in, fan_out = layers[0].fan_in, layers[0].fan_out
    return min(0.0, 0.5 * math.log10(2 * fan_out / (fan_in + fan_out)))


def _count(acting: Sequence[Segment]) -> tuple[tuple[str, int], ...]:
    names = [s.operations[0].name for s in acting]
    counts = {name: names.count(name) for name in names}
    return tuple(sorted(counts.items(), key=lambda item: -item[1]))
