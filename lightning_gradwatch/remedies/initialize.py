"""Weights drawn at the scale that their activation asks for."""

from __future__ import annotations

import math
from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
from lightning_gradwatch.remedies.network import RECTIFYING, evidence, main_activation, spreads, through_time

# Weights within 10 % of the scheme's scale gain nothing by being drawn again.
_NEAR = math.log(1.1)
_BIASES = ", biases 0."
_CALL = {
    "He": 'nn.init.kaiming_normal_(w, nonlinearity="relu")',
    "Xavier": "nn.init.xavier_normal_(w)",
}


class Initialize(RemedyRule):
    """He initialisation before ReLU and its kin, Xavier before tanh and sigmoid, biases 0."""

    name: ClassVar[str] = "Initialize"
    title: ClassVar[str] = "Xavier or He initialisation"
    source: ClassVar[str] = (
        "Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks (2010), "
        "equation 12; "
        "He et al., Delving deep into rectifiers (2015), equation 14"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.INITIALIZATION: Cure(
            fit=0.95, why="weights of the right scale hand the gradient on at the size at which it came."
        ),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits weights that are off the scale; little where sigmoids take most of it, whatever the weights are."""
        cause = self.target(finding)
        if cause is None or through_time(finding, anatomy):
            return None
        present = main_activation(finding, anatomy)
        scheme = _scheme(present, finding)
        now = spreads(anatomy, scheme)
        began_dead = finding.kind is Kind.DEAD_UNITS  # biases may do that to weights of any scale
        if not began_dead and now is not None and now[0] > 0 and abs(math.log(now[0] / now[1])) < _NEAR:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit * (1 - _taken_by_sigmoids(present, finding)),
            title=f"{scheme} initialisation",
            advice=f"Draw the weights by {_CALL[scheme]}{_BIASES if began_dead else ' and use Adam.'}",
            reason=f"{self.because(cause)} {_network(present, scheme, now)}",
        )


def _scheme(activation: str | None, finding: Finding) -> str:
    if activation is None:  # none is seen: what the diagnosis compared the weights with, else Xavier's slope of 1
        return "He" if any("He" in quantity.name.split() for quantity in evidence(finding)) else "Xavier"
    return "He" if activation in RECTIFYING and activation != "selu" else "Xavier"


def _taken_by_sigmoids(activation: str | None, finding: Finding) -> float:
    """The share that stays lost after drawing new weights: a sigmoid's slope is at most 1/4, a tanh's 1."""
    if activation not in ("sigmoid", "hardsigmoid"):
        return 0.0
    return min(1.0, sum(cause.share for cause in finding.causes if cause.kind is CauseKind.ACTIVATION))


def _network(activation: str | None, scheme: str, now: tuple[float, float] | None) -> str:
    why = f"{scheme} is the scale for {activation}" if activation else f"{scheme} keeps the size of what passes"
    if now is None:
        return f"{why}."
    return f"{why}: a standard deviation of {now[1]:.2g} where these weights have {now[0]:.2g}."
