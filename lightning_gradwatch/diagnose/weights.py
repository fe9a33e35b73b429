"""The scale of a layer's weights: now, at the start, and beside what good initialisation gives."""

from __future__ import annotations

import math
import statistics

from lightning_gradwatch.records import Anatomy, Frame, Layer
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import module_of
from lightning_gradwatch.records.threshold import Threshold

# Weights by this factor larger than Xavier's drive a tanh to its flat ends: Glorot & Bengio (2010), section 3.2; the
# recommended gain of a tanh (5/3, torch.nn.init.calculate_gain) and He's (1.4) stay below.
LARGE = 2.0
THRESHOLDS = (
    Threshold(
        name="large weights",
        value=LARGE,
        unit="times Xavier's",
        why="Glorot & Bengio (2010), section 3.2; the gains of tanh (5/3) and He (1.4) stay below",
    ),
)


def sizes(frame: Frame) -> dict[str, float]:
    """Layer -> root mean square of its weights on that step, of its largest one; of those that were measured."""
    found: dict[str, tuple[int, float]] = {}
    for reading in frame.parameters:
        if reading.weight is not None and reading.fan > 1:
            layer = module_of(reading.name)
            found[layer] = max(found.get(layer, (0, 0.0)), (reading.size, reading.weight))
    return {layer: size for layer, (_, size) in found.items()}


def now(frame: Frame, layer: str) -> float | None:
    """Root mean square of the layer's weights on that step; None: not measured."""
    return sizes(frame).get(layer)


def starts(history: History) -> dict[str, float]:
    """Layer -> root mean square of its weights on the first measured step; of a recurrent one those between steps."""
    found: dict[str, float] = {}
    for name, weight in (history.beginning.weights if history.beginning else {}).items():
        layer = module_of(name)
        if layer not in found or "_hh" in name:
            found[layer] = weight
    return found


def at_start(history: History, anatomy: Anatomy, layer: str) -> float | None:
    """The same on the first measured step, else the spread that the weights had when the fit began; None: not known."""
    found = anatomy.layer(layer)
    return starts(history).get(layer, found.weight_std if found else None)


def xavier(layer: Layer) -> float | None:
    """Standard deviation that Xavier's initialisation gives a layer (Glorot & Bengio 2010, equation 12)."""
    if not layer.fan_in or not layer.fan_out:
        return None
    return math.sqrt(2 / (layer.fan_in + layer.fan_out))


def excess(history: History, anatomy: Anatomy, layer: str) -> float | None:
    """Decades by which a layer's weights stood above Xavier's at the start (negative: below); None: not known."""
    return above(anatomy.layer(layer), at_start(history, anatomy, layer))


def above(layer: Layer | None, std: float | None) -> float | None:
    """Decades by which weights of that size stand above Xavier's for that layer; None: not known."""
    wanted = xavier(layer) if layer else None
    return math.log10(std / wanted) if std and wanted and math.isfinite(std) else None


def usual_excess(history: History, anatomy: Anatomy) -> float | None:
    """What ``excess`` says of the layer in the middle, of those that multiply by a matrix; None: nothing is known."""
    first = starts(history)
    layers = [one for one in anatomy.layers if one.family in ("linear", "attention")]
    known = [value for one in layers if (value := above(one, first.get(one.name, one.weight_std))) is not None]
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
