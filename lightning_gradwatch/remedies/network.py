"""What a remedy has to know of a network: its activations, the scale of its weights, what it has already."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from lightning_gradwatch.records import Anatomy, Finding, Layer, Quantity

# Flat at both ends: a unit that is driven there passes next to nothing.
SATURATING = frozenset({"sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign"})
# Slope 1, or nearly, for positive inputs.
RECTIFYING = frozenset(
    {"relu", "relu6", "leakyrelu", "rrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish"}
)
_ALIASES = {"prelukernel": "prelu"}
PLAIN_RECURRENT = frozenset({"RNN", "RNNCell"})


def activations(finding: Finding, anatomy: Anatomy) -> Counter[str]:
    """The activations in lower case, and how many: those that the evidence counts, else the network's modules.

    The evidence counts functional ones too, and only those on the way that is judged: no output sigmoid among them.
    """
    modules = Counter(filter(None, (_known(kind) for _, kind in anatomy.activations)))
    counted: Counter[str] = Counter()
    for quantity in evidence(finding):
        for word in _words(quantity.name):
            if _known(word) and math.isfinite(quantity.value):
                counted[_known(word)] = max(counted[_known(word)], int(quantity.value))
    if "relu6" in modules and "hardtanh" not in modules:  # torch computes a ReLU6 as a hardtanh
        counted["relu6"] += counted.pop("hardtanh", 0)
    counted = +counted
    return counted or modules


def main_activation(finding: Finding, anatomy: Anatomy) -> str | None:
    """The activation there is most of; None: none is known."""
    found = activations(finding, anatomy)
    return max(sorted(found), key=found.__getitem__) if found else None


def evidence(finding: Finding) -> Iterable[Quantity]:
    """All named numbers of a finding."""
    yield from finding.evidence
    for cause in finding.causes:
        yield from cause.evidence


def has_norm(finding: Finding, anatomy: Anatomy) -> bool:
    """Whether anything is normalised already, by a module or by a function that the evidence counts."""
    return anatomy.has("norm") or _mentions(finding, lambda word: word.endswith("norm") and word != "norm")


def has_residual(finding: Finding) -> bool:
    """Whether the evidence counts residual (skip) connections."""
    return _mentions(finding, lambda word: word in ("residual", "residuals", "skip", "skips"))


def gates(anatomy: Anatomy) -> bool:
    """Whether the saturating activations belong to recurrent layers, where they are meant to be."""
    modules = {_known(kind) for _, kind in anatomy.activations}
    return anatomy.has("recurrent") and not modules & SATURATING


def through_time(finding: Finding, anatomy: Anatomy) -> bool:
    """Whether the worst layer is a recurrent one: its gradient is lost over time steps, not over layers."""
    worst = anatomy.layer(finding.layers[0]) if finding.layers else None
    return worst is not None and worst.family == "recurrent"


def weight_layers(anatomy: Anatomy) -> tuple[Layer, ...]:
    """The linear and convolutional layers."""
    return tuple(layer for layer in anatomy.layers if layer.family == "linear")


def wanted_std(layer: Layer, scheme: str) -> float | None:
    """The standard deviation that ``"He"`` or ``"Xavier"`` initialisation gives that layer; None: its shape is unknown.

    He: sqrt(2 / fan_in), He et al. (2015), equation 10.  Xavier: sqrt(2 / (fan_in + fan_out)), Glorot and Bengio
    (2010), equation 12.

    Example:
        >>> square = Layer(
        ...     name="0", type="Linear", family="linear", parameters=2500, trainable=True, fan_in=50, fan_out=50
        ... )
        >>> round(wanted_std(square, "He"), 3), round(wanted_std(square, "Xavier"), 3)
        (0.2, 0.141)
    """
    if not layer.fan_in or not layer.fan_out:
        return None
    return math.sqrt(2 / layer.fan_in) if scheme == "He" else math.sqrt(2 / (layer.fan_in + layer.fan_out))


def spreads(anatomy: Anatomy, scheme: str) -> tuple[float, float] | None:
    """Median standard deviation of the weights, and of what the scheme would give them; None: not known."""
    pairs = [(layer.weight_std, wanted_std(layer, scheme)) for layer in weight_layers(anatomy)]
    known = [(now, wanted) for now, wanted in pairs if now is not None and wanted is not None]
    if not known:
        return None
    return statistics.median(now for now, _ in known), statistics.median(wanted for _, wanted in known)


def loss_behind_relu(anatomy: Anatomy) -> float | None:
    """Decades that the gradient would lose from the head to the first layer with ReLU and the weights as they are.

    A layer multiplies the gradient's mean square by fan_out * Var(w) and the ReLU halves it: He et al. (2015), equation
    13.  None: no two layers whose weights are known.
    """
    known = [
        (layer.fan_out, layer.weight_std)
        for layer in weight_layers(anatomy)
        if layer.fan_out and layer.weight_std is not None
    ][1:]  # the first layer's weights lie below its output
    if not known or min(std for _, std in known) <= 0:
        return None
    return -math.fsum(0.5 * math.log10(fan_out * std**2 / 2) for fan_out, std in known)


def _mentions(finding: Finding, meant: Callable[[str], bool]) -> bool:
    return any(q.value > 0 and any(map(meant, _words(q.name))) for q in evidence(finding))


def _words(name: str) -> Sequence[str]:
    return re.findall(r"[a-z0-9]+", name.lower())


def _known(name: str) -> str:
    """The activation of that name, as the sets above write it; "": it is none of them."""
    word = _ALIASES.get(name.lower(), name.lower())
    return word if word in SATURATING or word in RECTIFYING else ""
