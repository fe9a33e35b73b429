"""GW304: weights of zero that multiply the gradient away."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.weights import sizes
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Frame, Kind, Layer, Quantity, Segment
from lightning_gradwatch.records.threshold import Threshold

_DRAWN = ("linear", "recurrent", "attention")
# What it weighs beside "disconnected": it says which weights.
_WEIGHT = 2.0


class ZeroWeights(Rule):
    """Layers whose weights are all zero (or all alike) hand on no gradient."""

    code = "GW304"
    title = "Weights of zero pass no gradient"
    kind = CauseKind.INITIALIZATION
    findings = (Kind.DISCONNECTED, Kind.DEAD_UNITS, Kind.VANISHING)
    looks_for = """
        A gradient that becomes exactly zero in the weights of a linear layer, or layers whose weights have a standard
        deviation of exactly zero, where parameters get a gradient of zero on every step."""
    harm = """
        A layer multiplies the gradient by its weights. Weights of zero hand on nothing, and if the layer below gives
        zeros too, neither of the two ever moves. Weights that are all alike make all units of a layer one unit."""
    false_alarms = """
        A zero-initialised gate, head or residual branch wakes up after one or two steps, since its own gradient is not
        zero. A finding opens only where it did not."""
    example = """
        for layer in (first, second):
            nn.init.zeros_(layer.weight)  # a product of two zeros has no gradient at all"""
    remedy = """
        Draw the weights at random (He's or Xavier's); start at most one of two factors at zero."""
    is_remedy_safe = """
        Safe: such weights have learned nothing."""
    sources = (
        "Rumelhart, Hinton & Williams (1986), Learning internal representations by error propagation, section 2.3",
        "Zhang, Dauphin & Ma (2019), Fixup initialization: residual learning without normalization, section 3",
    )
    thresholds = (
        Threshold(
            name="weight",
            value=_WEIGHT,
            unit="decades",
            why="says which weights, beside the rule that says disconnected",
        ),
    )

    def check(self, finding: Finding, frame: Frame, anatomy: Anatomy) -> Answer | None:
        """Whether weights of zero stand where the gradient ends."""
        if finding.kind is not Kind.VANISHING and finding.id != "zero":
            return None
        ends = {name for ledger in frame.ledgers for s in ledger.body if _ends(s) for name in s.modules}
        size = sizes(frame)
        guilty = [one.name for one in anatomy.layers if _is_constant(one, size.get(one.name), one.name in ends)]
        if not guilty:
            return NO
        more = f", and those of {len(guilty) - 1} more layers" if len(guilty) > 1 else ""
        return Answer(
            holds=True,
            weight=_WEIGHT,
            sentence=f"the weights of {guilty[0]} are all alike{more}",
            evidence=(Quantity(name="layers with constant weights", value=float(len(guilty)), unit="layers"),),
        )


def _is_constant(layer: Layer, size: float | None, is_end: bool) -> bool:
    """Whether its weights are zero now, or began all alike where the gradient ends; normalisations always do."""
    return layer.family in _DRAWN and (size == 0.0 or (is_end and layer.weight_std == 0.0))


def _ends(segment: Segment) -> bool:
    return segment.family in ("linear", "block") and segment.decades == -math.inf
