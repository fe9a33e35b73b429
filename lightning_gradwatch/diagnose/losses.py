"""Splits the decades that a ledger lost between activations, weights, recurrent layers and the bare number of layers.

Every operation may lose a little without harm: only the product over many of them hurts, and that is depth.  What one
loses beyond that is its activation's fault or its weights':

- an activation is charged what it loses beyond what good initial weights would make up for (a ReLU halves the mean
  square of the gradient and He's weights double it: He et al. 2015, equation 14; Xavier's weights assume a slope of 1:
  Glorot & Bengio 2010, equation 11);
- of that what exceeds the loss of one that is wide open is told apart where it is saturated: whoever drove it there
  answers for it (``diagnose.blame``);
- the weights are charged what they fall short of that gain;
- residual sums and normalisations are charged together what they do not give back to each other;
- a recurrent layer that autograd shows as one operation is charged what it loses as a whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightning_gradwatch.diagnose.hidden import Inside
from lightning_gradwatch.records import Anatomy, Layer, Ledger, Segment
from lightning_gradwatch.records.flow import charged, path_to
from lightning_gradwatch.records.threshold import Threshold

# A factor of 0.9 is harmless in a shallow network: what an operation loses up to here is charged to depth.
MILD = 0.05
# Decades that He's initialisation gives back at each of these activations: half of log10(2) where half of the slopes
# are 1 and half are 0.  Everything else is initialised with Xavier's gain of 1.
_HE = 0.5 * math.log10(2)
# Decades that activations with two flat ends lose where they are wide open: their largest slope is 1/4, 1 or 1/6.
OPEN = {"Sigmoid": math.log10(4), "Tanh": 0.0, "Hardsigmoid": math.log10(6), "Hardtanh": 0.0, "Softsign": 0.0}
# Below this share of its largest slope an activation counts as saturated.
SATURATED = 0.5
GAIN = {"Relu": _HE, "LeakyRelu": _HE, "PreluKernel": _HE, "Elu": 0.09, "Gelu": _HE, "Silu": _HE}
THRESHOLDS = (
    Threshold(
        name="mild",
        value=MILD,
        unit="decades of one operation",
        why="a factor of 0.9 is harmless alone: charged to depth",
    ),
    Threshold(
        name="given back by He",
        value=_HE,
        unit="decades of one activation",
        why="half of log10(2): half of the slopes are 0 (He et al. 2015, section 2.2)",
    ),
    Threshold(
        name="saturated",
        value=SATURATED,
        unit="of the largest slope",
        why="below it what an activation loses is charged to saturation",
    ),
)


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
    norm: float = 0.0  # in normalisations, beyond what weights and residual sums had gained
    residual: float = 0.0  # in residual sums and their scales, beyond what normalisations gave back
    flat: tuple[tuple[str, float], ...] = ()  # (layer, decades) lost to saturation, in ``activation``
    reckoned: bool = False  # in part from weights and modules: the graph does not show all of the way


def split(ledger: Ledger, layer: str, anatomy: Anatomy, hidden: Inside | None = None) -> Losses:
    """Attribute what was lost between the head and that layer.

    Args:
        ledger: the ledger that shows the loss.
        layer: the most starved layer.
        anatomy: what the network is made of.
        hidden: what its opaque operations hold on the way; theirs is reckoned, the rest is measured.
    """
    hidden = hidden or Inside()
    # Where the gradient underflows to zero there is no telling by how much: the way down to there is explained.
    path = [s for s in path_to(ledger, layer) if charged(s) == s.decades and math.isfinite(s.decades)]
    acting = [s for s in path if s.family == "activation"]
    linear = [s for s in path if s.family == "linear"]
    gain = _expected_gain([*(s.operations[0].name for s in acting), *hidden.names])
    activation = [max(0.0, -s.decades - GAIN.get(s.operations[0].name, 0.0)) for s in acting]
    activation += [max(0.0, -hidden.per_activation - GAIN.get(name, 0.0)) for name in hidden.names]
    weights = [max(0.0, gain + _shape(s, anatomy) - s.decades) for s in linear]
    weights += [max(0.0, gain + _xavier(one) - own) for one, own in zip(hidden.layers, hidden.weights, strict=True)]
    recurrent = [max(0.0, -s.decades) for s in path if s.family == "recurrent"]
    norm, residual, structural = _structure(path, gain * len(linear))
    known = ("activation", "linear", "recurrent", "opaque")
    rest = [max(0.0, -s.decades) for s in path if s.family not in known and not structural(s)]
    slopes = [s.slope for s in acting if s.slope is not None]
    layers = max(1, len({s.layer for s in path if s.family != "opaque"} | {one.name for one in hidden.layers}))
    return Losses(
        activation=_beyond_mild(activation),
        weights=_beyond_mild(weights),
        recurrence=_beyond_mild(recurrent),
        depth=_mild(activation) + _mild(weights) + _mild(recurrent) + math.fsum(rest) + hidden.unexplained,
        layers=layers,
        total=hidden.lost - math.fsum(s.decades for s in path if s.family != "opaque"),
        activations=_count([*(s.operations[0].name for s in acting), *hidden.names]),
        activation_decades=math.fsum(s.decades for s in acting) + hidden.per_activation * len(hidden.names),
        weight_decades=math.fsum(s.decades for s in linear) + math.fsum(hidden.weights),
        recurrent_layers=len(recurrent),
        expected_gain=gain,
        slope=math.fsum(slopes) / len(slopes) if slopes else None,
        norm=norm,
        residual=residual,
        flat=tuple((s.layer, lost) for s in acting if (lost := _to_saturation(s)) > 0),
        reckoned=bool(hidden.lost),
    )


def is_residual(segment: Segment) -> bool:
    """Whether it is a block that the gradient passes and passes around: it holds a sum and something beside it."""
    return segment.family == "block" and any(item.name == "Add" for item in segment.operations)


def is_scale(segment: Segment) -> bool:
    """Whether it multiplies by a number of no layer: the scale of a sum."""
    return not segment.modules and {item.name for item in segment.operations} <= {"Mul", "Div"}


def _structure(path: Sequence[Segment], gain: float) -> tuple[float, float, Callable[[Segment], bool]]:
    """Decades lost in normalisations and in residual sums; and which segments these are."""
    residual = any(is_residual(s) for s in path)
    sums = [s for s in path if is_residual(s) or (residual and is_scale(s))]
    norms = [s for s in path if s.family == "norm"]
    summed, normed = (math.fsum(s.decades for s in of) for of in (sums, norms))
    linear = math.fsum(s.decades for s in path if s.family == "linear") - gain
    # A normalisation that takes back what large weights or sums gave takes nothing.
    lost_in_norms = max(0.0, -normed - max(0.0, summed) - max(0.0, linear))
    lost_in_sums = max(0.0, -summed - max(0.0, normed))
    return lost_in_norms, lost_in_sums, lambda segment: segment in sums or segment in norms


def _to_saturation(segment: Segment) -> float:
    """Decades that an activation loses beyond those of one that is wide open, where it is saturated."""
    name = segment.operations[0].name
    if name not in OPEN or segment.slope is None or segment.slope >= SATURATED:
        return 0.0
    return max(0.0, -segment.decades - max(OPEN[name], MILD))


def _beyond_mild(losses: Sequence[float]) -> float:
    return math.fsum(max(0.0, loss - MILD) for loss in losses)


def _mild(losses: Sequence[float]) -> float:
    return math.fsum(min(loss, MILD) for loss in losses)


def _expected_gain(activations: Sequence[str]) -> float:
    gains = [GAIN.get(name, 0.0) for name in activations]
    return math.fsum(gains) / len(gains) if gains else 0.0


def _shape(segment: Segment, anatomy: Anatomy) -> float:
    """What Xavier's weights of a segment's only layer give."""
    layers = [layer for name in segment.modules if (layer := anatomy.layer(name)) is not None]
    return _xavier(layers[0]) if len(layers) == 1 else 0.0


def _xavier(layer: Layer) -> float:
    """Decades that Xavier's weights give a gradient from n_out values to n_in (Glorot & Bengio 2010, equation 16)."""
    if not layer.fan_in or not layer.fan_out:
        return 0.0
    return min(0.0, 0.5 * math.log10(2 * layer.fan_out / (layer.fan_in + layer.fan_out)))


def _count(names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(names).most_common())
