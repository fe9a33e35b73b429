"""GW3xx: the weights are too small for the activations between them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.decay import share_of_decay
from lightning_gradwatch.diagnose.losses import Losses
from lightning_gradwatch.diagnose.weights import sizes
from lightning_gradwatch.records import Anatomy, CauseKind, Frame, Layer, Ledger, Quantity
from lightning_gradwatch.records.history import History


class WeightsTooSmall(Rule):
    """The weights shrink the gradient more than well-scaled ones would."""

    code = "GW301"
    title = "Weights too small for their activation"
    kind = CauseKind.INITIALIZATION
    looks_for = """
        Decades that the backward pass loses in linear and convolutional layers, against what Xavier's initialisation
        (before sigmoid and tanh) or He's (before ReLU and its kin) would give at the same shapes."""
    harm = """
        A layer multiplies the gradient by its weights. Where their standard deviation is below 1/sqrt(fan) every layer
        shrinks it. PyTorch's default for `nn.Linear` is uniform with a standard deviation of 0.58/sqrt(fan_in): right
        for a few layers, 0.24 decades short in each of many, and 0.39 before a ReLU."""
    false_alarms = """
        Weights that were regularised or pruned on purpose; layers followed by a normalisation, which undoes any scale
        (there the ledger shows the norm paying the debt, and no finding opens)."""
    example = """
        layer = nn.Linear(64, 64)
        nn.init.normal_(layer.weight, std=0.01)  # Xavier would give 0.125"""
    remedy = """
        `nn.init.kaiming_normal_(weight, nonlinearity="relu")` for ReLU and its kin, `nn.init.xavier_normal_(weight)`
        for tanh and sigmoid, before training starts."""
    is_remedy_safe = """
        Safe before the first step. Later it throws away what the weights have learned."""
    sources = (
        "Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, eq. 16",
        "He, Zhang, Ren & Sun (2015), Delving deep into rectifiers, eq. 14",
    )

    def check(self, *, losses: Losses, ledger: Ledger, anatomy: Anatomy, frame: Frame, history: History) -> Answer:
        """Whether the weights fell short of what good initialisation gives, and began or were made so."""
        own = losses.weights * (1 - share_of_decay(frame, history))
        if own <= 0:
            return NO
        used = {name for segment in ledger.body if segment.family == "linear" for name in segment.modules}
        hidden = {name for segment in ledger.body if segment.family == "opaque" for name in segment.modules}
        hidden |= {*ledger.below, *ledger.unplaced}
        used |= {layer.name for layer in anatomy.layers if layer.name in hidden and layer.family == "linear"}
        layers = [layer for layer in anatomy.layers if layer.name in used and layer.weight_std and layer.fan_in]
        scheme = "He" if losses.expected_gain > 0 else "Xavier"
        std, good = _stds(layers, scheme, frame)
        return Answer(
            holds=True,
            weight=own,
            sentence=_sentence(losses, scheme, std, good),
            evidence=tuple(_evidence(losses, scheme, std, good)),
        )


def _stds(layers: Sequence[Layer], scheme: str, frame: Frame) -> tuple[float | None, float | None]:
    """Median standard deviation of the weights, and the one that the scheme would give the same layers."""
    if not layers:
        return None, None
    good = [
        math.sqrt(2 / (layer.fan_in or 1))
        if scheme == "He"
        else math.sqrt(2 / ((layer.fan_in or 1) + (layer.fan_out or 1)))
        for layer in layers
    ]
    size = sizes(frame)
    spreads = [size.get(layer.name) or layer.weight_std or 0.0 for layer in layers]
    return statistics.median(spreads), statistics.median(good)


def _sentence(losses: Losses, scheme: str, std: float | None, good: float | None) -> str:
    fell = f"weights change the gradient by {losses.weight_decades:+.1f} decades"
    wanted = losses.expected_gain * sum(n for _, n in losses.activations)
    text = f"{fell} where {scheme} initialisation would give about {wanted:+.1f}"
    return text if std is None or good is None else f"{text} (std {std:.2g}, {scheme} {good:.2g})"


def _evidence(losses: Losses, scheme: str, std: float | None, good: float | None) -> list[Quantity]:
    evidence = [
        Quantity(name="change in weights", value=losses.weight_decades, unit="decades"),
        Quantity(name=f"short of {scheme} initialisation", value=losses.weights, unit="decades"),
    ]
    if std is not None and good is not None:
        evidence.append(Quantity(name="standard deviation of the weights", value=std))
        evidence.append(Quantity(name=f"standard deviation that {scheme} gives", value=good))
    return evidence
