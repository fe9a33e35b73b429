"""GW311: an input that is far from standardised."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.blame import LARGE_INPUT, Blame
from lightning_gradwatch.records import CauseKind, Finding, Kind, Ledger, Quantity
from lightning_gradwatch.records.threshold import Threshold

# A batch that is broken itself leaves nothing to be asked.
_CERTAIN = 5.0


class LargeInput(Rule):
    """The network is given numbers far larger than 1."""

    code = "GW311"
    title = "The input is not scaled"
    kind = CauseKind.DATA
    findings = (Kind.SATURATION, Kind.DEAD_UNITS, Kind.VANISHING, Kind.EXPLODING, Kind.NONFINITE)
    looks_for = f"""
        A root mean square of what the first trainable layer is given above {LARGE_INPUT:g} (standardised data has 1),
        or one that is not finite, where a layer saturated or died from the first step on, or the gradient explodes or
        breaks over time. Against large weights (GW302) it is weighed by decades: what each has too many of."""
    harm = """
        A layer's output, and the gradient of its weights, grow with its input. Initialisation schemes assume inputs of
        size 1; with raw pixels of 0..255 the first layer saturates at once, and its weights get a gradient a hundred
        times as large as those of all others."""
    false_alarms = """
        Inputs that are large by design behind a first layer that normalises them; the rule speaks only beside a
        finding."""
    example = """
        x = image.float()  # 0..255, in place of image.float() / 255"""
    remedy = """
        Standardise the inputs (subtract the mean, divide by the standard deviation of the training data), or begin the
        network with a BatchNorm or LayerNorm without affine parameters."""
    is_remedy_safe = """
        Safe before training. A trained network expects the scale that it was trained with."""
    sources = (
        "LeCun, Bottou, Orr & Müller (1998), Efficient backprop, section 4.3",
        "Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, section 4",
    )
    thresholds = (
        Threshold(
            name="weight", value=_CERTAIN, unit="decades", why="a batch that is broken leaves nothing to be asked"
        ),
    )

    def check(self, finding: Finding, ledger: Ledger, blame: Blame | None = None) -> Answer | None:
        """Whether the input's scale answers for it."""
        given = ledger.given
        if given is None or (finding.kind is Kind.VANISHING and blame is None):
            return None
        if not math.isfinite(given):
            return _broken(given) if finding.kind is Kind.NONFINITE else NO
        if given < LARGE_INPUT or (finding.kind is Kind.EXPLODING and ":" in finding.id):
            return NO
        weight = blame.data if blame is not None else math.log10(given)
        if weight <= 0:
            return NO
        return Answer(
            holds=True,
            weight=weight,
            sentence=f"{ledger.target_layer} is given numbers with a root mean square of {given:.3g}, where initial "
            "weights are made for 1",
            evidence=(Quantity(name="root mean square of the input", value=given),),
        )


def _broken(given: float) -> Answer:
    return Answer(
        holds=True,
        weight=_CERTAIN,
        sentence="the batch itself holds numbers that are not finite",
        evidence=(Quantity(name="root mean square of the input", value=given),),
    )
