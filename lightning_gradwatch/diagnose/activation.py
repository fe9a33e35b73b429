"""GW1xx: the activations let too little of the gradient through."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.losses import SATURATED, Losses
from lightning_gradwatch.records import CauseKind, Quantity

# Largest slope of the activations that saturate.
_LARGEST = {"Sigmoid": 0.25, "Tanh": 1.0, "Hardsigmoid": 1 / 6, "Hardtanh": 1.0}


class SaturatingActivation(Rule):
    """The product of the activations' slopes makes the gradient vanish."""

    code = "GW101"
    title = "Activations pass too little slope"
    kind = CauseKind.ACTIVATION
    looks_for = """
        Decades that the backward pass loses in activations, beyond what well-scaled weights would make up for. The
        slope of a sigmoid is at most 0.25, so that every sigmoid costs at least 0.6 decades even where it is wide open.
        What one loses on top of that because it was driven to its flat ends is the business of GW102, GW302, GW311 and
        GW601, each for another reason."""
    harm = """
        The gradient of a layer holds one factor for every activation between it and the loss. Factors of 0.25 over 20
        layers leave 1e-12 of it: the shallow layers stop learning, while the deep ones fit noise."""
    false_alarms = """
        Gates (in LSTM, GRU, attention) are meant to be decided. An output sigmoid with its loss fused
        (`binary_cross_entropy_with_logits`) is not part of the way that is judged."""
    example = """
        nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(64, 64), nn.Sigmoid())], nn.Linear(64, 10))"""
    remedy = """
        Replace the activation by ReLU, LeakyReLU, PReLU or ELU and initialise the weights for it (He); or insert batch
        normalisation before it, which keeps its inputs where the slope is large and pays the loss back; or add residual
        connections around it."""
    is_remedy_safe = """
        It changes the function that the network computes: do it before training, not in the middle of it. A ReLU with
        PyTorch's default initialisation vanishes again in a deep network: always change both."""
    sources = (
        "Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, section 3",
        "Glorot, Bordes & Bengio (2011), Deep sparse rectifier neural networks",
        "Hochreiter (1991), Untersuchungen zu dynamischen neuronalen Netzen, chapter 3",
    )

    def check(self, losses: Losses) -> Answer:
        """Whether activations lost decades of their own."""
        own = losses.activation - math.fsum(lost for _, lost in losses.flat)
        if own <= 0 or not losses.activations:
            return NO
        return Answer(holds=True, weight=own, sentence=_sentence(losses), evidence=tuple(_evidence(losses)))


def _sentence(losses: Losses) -> str:
    name, count = losses.activations[0]
    factor = 10 ** (losses.activation_decades / sum(n for _, n in losses.activations))
    lost = -losses.activation_decades
    by = " (what the weights leave; the graph hides the rest)" if losses.reckoned else ""
    text = f"{count} {name} lose {lost:.1f} decades{by}: each passes {factor:.2g} of the gradient on average"
    if losses.slope is not None and losses.slope < SATURATED:
        return f"{text}, because they are saturated (slope at {losses.slope:.0%} of its maximum)"
    if name in _LARGEST and _LARGEST[name] < 1:
        return f"{text}; the slope of a {name.lower()} never exceeds {_LARGEST[name]:.2g}"
    return text


def _evidence(losses: Losses) -> list[Quantity]:
    evidence = [Quantity(name=f"{name} segments", value=float(count)) for name, count in losses.activations]
    evidence.append(Quantity(name="lost in activations", value=-losses.activation_decades, unit="decades"))
    if losses.slope is not None:
        evidence.append(Quantity(name="mean slope", value=losses.slope, unit="of the largest possible"))
    largest = _LARGEST.get(losses.activations[0][0])
    if largest is not None:
        evidence.append(Quantity(name="largest possible slope", value=largest))
    return evidence
