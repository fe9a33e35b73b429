"""The scale of a layer's weights: now, at the start, and beside what good initialisation gives."""

from __future__ import annotations

import math
import statistics

from lightning_gradwatch.records import Anatomy, Frame, Layer
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import module_of

# Weights by this factor larger than Xavier's drive a tanh to its flat ends: Glorot & Bengio (2010), section 3.2; the
# recommended gain of a tanh (5/3, torch.nn.init.calculate_gain) and He's (1.4) stay below.
LARGE = 2.0


def now(frame: Frame, layer: str) -> float | None:
    """Root mean square of the layer's weights on that step; None: not measured."""
    known = [r for r in frame.parameters if r.weight is not None and r.fan > 1 and module_of(r.name) == layer]
    return max(known, key=lambda r: r.size).weight if known else None


def at_start(history: History, anatomy: Anatomy, layer: str) -> float | None:
    """The same on the first measured step, else the spread that the weights had when the fit began; None: not known."""
    first = history.beginning.weights if history.beginning else {}
    known = [(name, weight) for name, weight in first.items() if module_of(name) == layer]
    if known:
        # The first name of a layer is its weight; a recurrent layer's second one is what time multiplies by.
        return known[min(1, len(known) - 1)][1] if len(known) > 1 and "_hh" in known[1][0] else known[0][1]
    found = anatomy.layer(layer)
    return found.weight_std if found else None


def xavier(layer: Layer) -> float | None:
    """Standard deviation that Xavier's initialisation gives a layer (Glorot & Bengio 2010, equation 12)."""
    if not layer.fan_in or not layer.fan_out:
        return None
    return math.sqrt(2 / (layer.fan_in + layer.fan_out))


def excess(history: History, anatomy: Anatomy, layer: str) -> float | None:
    """Decades by which a layer's weights stood above Xavier's at the start (negative: below); None: not known."""
    found, std = anatomy.layer(layer), at_start(history, anatomy, layer)
    wanted = xavier(found) if found else None
    return math.log10(std / wanted) if std and wanted and math.isfinite(std) else None


def usual_excess(history: History, anatomy: Anatomy) -> float | None:
    """The same of the layer in the middle, of those that multiply by a matrix; None: nothing is known."""
    layers = [one.name for one in anatomy.layers if one.family in ("linear", "attention")]
    known = [value for name in layers if (value := excess(history, anatomy, name)) is not None]
    return statistics.median(known) if known else None


def grown(frame: Frame, history: History, layer: str) -> float | None:
    """Factor by which a layer's weights have grown since the first measured step; None: not known."""
    first = history.beginning.weights if history.beginning else {}
    pairs = [
        (r.size, r.weight / first[r.name])
        for r in frame.parameters
        if r.weight is not None and module_of(r.name) == layer and first.get(r.name)
    ]
    return max(pairs)[1] if pairs else None


def usual_growth(frame: Frame, history: History) -> float | None:
    """Factor by which the weight in the middle has grown since the first measured step; None: not known."""
    first = history.beginning.weights if history.beginning else {}
    known = [r.weight / first[r.name] for r in frame.parameters if r.weight is not None and first.get(r.name)]
    return statistics.median(known) if known else None
