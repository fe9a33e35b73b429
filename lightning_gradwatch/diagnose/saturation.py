"""GW102: activations at their flat ends, and nothing else that drove them there."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.blame import OPEN, Blame
from lightning_gradwatch.records import CauseKind, Kind, Quantity


class Saturates(Rule):
    """An activation with flat ends is at them, although weights, input and steps are ordinary."""

    code = "GW102"
    title = "Activations sit at their flat ends"
    kind = CauseKind.ACTIVATION
    findings = (Kind.SATURATION, Kind.VANISHING)
    looks_for = f"""
        Activations and attention with less than half of their largest slope left, where nobody else is to blame: the
        weights were ordinary on the first measured step (else GW302), the input is (else GW311), and an activation that
        was open then ({OPEN:.0%} of its largest slope or more) did not leap to its ends in bold steps (else GW601)."""
    harm = """
        The gradient of a unit holds its slope. A sigmoid at 0.999 has a thousandth of it: its weights, and everything
        below, learn as slowly as that, and cannot come back by themselves."""
    false_alarms = """
        Units that are meant to decide (gates, hard attention, binary codes). The severity stays an information while
        the loss falls."""
    example = """
        torch.tanh(4 * hidden)  # a factor that nobody learns drives it to its ends"""
    remedy = """
        ReLU, GELU or another activation without a flat upper end, with weights drawn for it; a normalisation in front
        of it, which keeps its input small; for attention the factor 1/sqrt(d), or normalised queries and keys."""
    is_remedy_safe = """
        Another activation is another function: before training, not in the middle of it."""
    sources = (
        "Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, section 3",
        "Vaswani et al. (2017), Attention is all you need, section 3.2.1 (the factor 1/sqrt(d))",
    )

    def check(self, blame: Blame) -> Answer:
        """Whether flat activations are left for which nothing else answers."""
        if blame.activation <= 0:
            return NO
        began = "" if blame.began is None else f", which had {blame.began:.0%} of their largest slope at the start"
        weights = () if blame.factor is None else (Quantity(name="weights beside Xavier's", value=blame.factor),)
        return Answer(
            holds=True,
            weight=blame.activation,
            sentence=f"{blame.layers} saturated layers{began}: neither weights nor input nor steps are out of the "
            "ordinary",
            evidence=(
                Quantity(name="slope lost to saturation", value=blame.activation, unit="decades"),
                Quantity(name="saturated layers", value=float(blame.layers), unit="layers"),
                *weights,
            ),
        )
