"""How much gradient arrives inside operations that autograd does not show, told by the gradients of their parameters.

The ledger ends or leaps there; the parameters inside still get gradients.  A layer with output gradient d and input x
gives its bias the gradient sum(d) and its weight sum(d x): both are in proportion to d, so that the larger of

    ||gradient of the bias||   and   ||gradient of the weight|| / sqrt(inputs)

beside that of the layer that the gradient meets first tells the decades between the two.  Neither alone would do: a
bias before a normalisation gets nothing, and behind small weights x is as small as d.  Over 28 small networks this is
within 0.8 decades of the ledger of the same network uncompiled; up to 2 below it for an embedding, up to 3 above it for
a first layer whose inputs are in the thousands.  So it is an estimate, with a margin of its own, and never in a ledger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lightning_gradwatch.records.frame import Frame, Ledger, ParameterReading
from lightning_gradwatch.records.names import module_of

# Decades by which a layer that is judged by its parameters' gradients must be worse to count as starved.
MARGIN = 0.5
# A weight whose gradient is mostly exact zeros is a table of which few rows were looked up: a row has one input.
_TABLE = 0.5


class _Strengths:
    """log10 of the gradient that arrives at each layer, up to a constant that is the same for all of them."""

    def __init__(self, readings: Sequence[ParameterReading]) -> None:
        self._log: dict[str, float] = {}
        self._weighs: set[str] = set()  # layers with a matrix: a lone scale or temperature is no measure for others
        for reading in readings:
            if reading.norm is None:
                continue
            layer = module_of(reading.name)
            self._log[layer] = max(self._log.get(layer, -math.inf), log_strength(reading))
            if reading.fan > 1:
                self._weighs.add(layer)

    def known(self, layers: Sequence[str]) -> list[tuple[str, float]]:
        return [(layer, self._log[layer]) for layer in layers if layer in self._log]

    def of_first(self, layers: Sequence[str]) -> float | None:
        """That of the layer that the gradient meets first; None: there is nothing to compare with."""
        known = self.known(layers)
        first = next((log for layer, log in known if layer in self._weighs), known[0][1] if known else math.nan)
        return first if math.isfinite(first) else None


def log_strength(reading: ParameterReading) -> float:
    """log10 of the gradient that arrives at the layer of one parameter, up to a constant that all layers share."""
    norm = reading.norm or 0.0
    inputs = 1 if (reading.zeros or 0.0) > _TABLE else reading.fan
    return math.log10(norm) - math.log10(inputs) / 2 if norm > 0 else -math.inf if norm == 0 else norm


def flow_inside(frame: Frame, ledger: Ledger, levels: Mapping[str, float]) -> dict[str, float]:
    """Layer -> decades of gradient beside the head, of the layers that the ledger does not show one by one.

    Args:
        frame: the frame that the ledger belongs to; its parameters are read.
        ledger: a ledger of it.
        levels: what ``flow_by_layer`` says of the ledger: exact where an opaque operation begins.
    """
    if not ledger.closed:
        return {}
    strengths = _Strengths(frame.parameters)
    found: dict[str, float] = {}
    for segment in ledger.body:
        if segment.family == "opaque" and segment.modules:
            top = levels[segment.modules[0]]
            found.update(_descend(strengths, segment.modules, top, top + segment.decades))
    found.update(_descend(strengths, ledger.below, levels[ledger.target_layer]))
    return {**found, **_unplaced(strengths, ledger, levels)}


def _unplaced(strengths: _Strengths, ledger: Ledger, levels: Mapping[str, float]) -> dict[str, float]:
    layers = [layer for layer in ledger.unplaced if layer not in levels]
    behind = levels.get(ledger.unplaced[-1], -math.inf) if layers else -math.inf
    return _descend(strengths, layers, 0.0, behind, strengths.of_first([*levels, *layers]))


def _descend(
    strengths: _Strengths, layers: Sequence[str], top: float, bottom: float = -math.inf, first: float | None = None
) -> dict[str, float]:
    """From the level at the top of an opaque stretch down through its layers.

    A gradient that arrives further down has passed: a layer that gets less than deeper ones stands in a side branch
    (behind a gate, a small scale), and counts as fed as those are.
    """
    first = strengths.of_first(layers) if first is None else first
    if first is None:
        return {}
    found: dict[str, float] = {}
    for layer, log in reversed(strengths.known(layers)):
        found[layer] = max(top + log - first, min(top, bottom))
        bottom = max(bottom, found[layer])
    return dict(reversed(found.items()))
