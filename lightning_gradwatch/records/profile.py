"""A frame, seen layer by layer: the table that pictures, the packed events and the report share."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from lightning_gradwatch.records.flow import flow_by_layer
from lightning_gradwatch.records.frame import Frame, Ledger, ParameterReading, Segment, total
from lightning_gradwatch.records.inside import flow_inside


@dataclass(frozen=True, kw_only=True)
class LayerProfile:
    """One layer of a ledger, from the head (flow 0) down to the target layer."""

    layer: str
    flow: float  # decades from the head's output to this layer's output
    activation: float = 0.0  # decades lost or gained between this layer's output and the next layer
    linear: float = 0.0  # ... in this layer's own weights
    norm: float = 0.0  # ... in normalisation
    other: float = 0.0  # ... in everything else (several families at once, attention, pooling)
    slope: float | None = None  # mean slope over largest slope of the activation that follows it
    dead: float | None = None  # share of its units that are zero for the whole batch
    rms: float | None = None  # root mean square of its parameters' gradient elements
    update: float | None = None  # largest ||update|| / ||weights|| of its parameters

    @property
    def own(self) -> float:
        """Decades that this layer and its activation lose or gain together."""
        return total((self.activation, self.linear, self.norm, self.other))


_COLUMN = {"activation": "activation", "linear": "linear", "norm": "norm"}


def profile(frame: Frame, ledger: Ledger) -> tuple[LayerProfile, ...]:
    """The layers of one ledger of that frame, head first.

    Example:
        >>> frame = Frame(step=0, global_step=0, epoch=0, batch=0, loss=None)
        >>> profile(frame, Ledger(name="loss", target="a.weight", target_layer="a", segments=(), start=0.0, end=0.0))
        (LayerProfile(layer='a', flow=0.0, ...),)
    """
    return tuple(_rows(frame, ledger))


def _rows(frame: Frame, ledger: Ledger) -> Iterator[LayerProfile]:
    level, seen = 0.0, ""
    readings = _by_module(frame.parameters)
    inside = flow_inside(frame, ledger, flow_by_layer(ledger))
    for layer, group in groupby(ledger.body, key=lambda segment: segment.layer):
        stretch = tuple(group)
        before_weights = [s.decades for s in stretch if not s.modules]
        hidden = [name for s in stretch if s.family == "opaque" for name in s.modules if name in inside]
        first = hidden[0] if hidden else layer
        yield _row(first, level + total(before_weights), stretch, _weights(readings.get(first, [])))
        for name in hidden[1:]:
            yield _row(name, inside[name], (), _weights(readings.get(name, [])))
        level, seen = level + total(s.decades for s in stretch), layer
    if seen != ledger.target_layer:
        yield _row(ledger.target_layer, level, (), _weights(readings.get(ledger.target_layer, [])))
    for name in (*ledger.below[1:], *ledger.unplaced):
        if name in inside:
            yield _row(name, inside[name], (), _weights(readings.get(name, [])))


def _row(layer: str, flow: float, stretch: tuple[Segment, ...], own: list[ParameterReading]) -> LayerProfile:
    sums = {"activation": 0.0, "linear": 0.0, "norm": 0.0, "other": 0.0}
    for segment in stretch:
        sums[_COLUMN.get(segment.family, "other")] += segment.decades
    slopes = [s.slope for s in stretch if s.slope is not None]
    dead = [s.dead for s in stretch if s.dead is not None]
    return LayerProfile(
        layer=layer,
        flow=flow,
        **sums,
        slope=min(slopes, default=None),
        dead=max(dead, default=None),
        rms=_rms(own),
        update=max((r.update for r in own if r.update is not None), default=None),
    )


def _by_module(readings: tuple[ParameterReading, ...]) -> dict[str, list[ParameterReading]]:
    """Module -> the readings of the parameters in it and in the modules it holds."""
    table: dict[str, list[ParameterReading]] = {}
    for reading in readings:
        for module in _holders(reading.name):
            table.setdefault(module, []).append(reading)
    return table


@functools.lru_cache(maxsize=1 << 14)
def _holders(parameter: str) -> tuple[str, ...]:
    """The modules that hold a parameter, innermost first, without the model itself."""
    found: list[str] = []
    module = parameter.rpartition(".")[0]
    while module:
        found.append(module)
        module = module.rpartition(".")[0]
    return tuple(found)


def _weights(readings: list[ParameterReading]) -> list[ParameterReading]:
    """Weights rather than biases, whose gradients may be 0 by design; biases where there is nothing else."""
    return [r for r in readings if not r.name.endswith("bias")] or readings


def _rms(readings: list[ParameterReading]) -> float | None:
    norms = [(r.norm, r.size) for r in readings if r.norm is not None]
    size = sum(size for _, size in norms)
    return math.hypot(*(norm for norm, _ in norms)) / math.sqrt(size) if size else None
