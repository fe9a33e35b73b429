"""GW2xx: too many layers, each of which loses a little."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import Answer, Rule
from lightning_gradwatch.diagnose.losses import MILD, Losses
from lightning_gradwatch.records import CauseKind, Quantity


class DepthProduct(Rule):
    """A long product of factors slightly below one."""

    code = "GW201"
    title = "Depth multiplies small losses"
    kind = CauseKind.DEPTH
    looks_for = f"""
        The part of the loss that no single operation can be blamed for: up to {MILD} decades each (a factor of
        {10**-MILD:.2f}), times their number between the head and the starved layer, and losses in operations that are
        neither an activation nor weights."""
    harm = """
        A product of factors below one decays exponentially with their number. What is harmless in 5 layers leaves a
        thousandth of the gradient after 60."""
    false_alarms = """
        Networks whose shallow layers need not learn (random features, frozen embeddings left trainable)."""
    example = """
        nn.Sequential(*[m for _ in range(100) for m in (nn.Linear(64, 64), nn.Tanh())], nn.Linear(64, 10))"""
    remedy = """
        Residual connections give the gradient a way around every block; normalisation rescales it in every layer; fewer
        layers have fewer factors; layer-wise pretraining gives the shallow layers weights worth having before the
        gradient reaches them."""
    is_remedy_safe = """
        A residual connection around a block that keeps its shape adds no parameters and, with a zero-initialised scale,
        leaves the network's function unchanged at the start."""
    sources = (
        "Bengio, Simard & Frasconi (1994), Learning long-term dependencies with gradient descent is difficult",
        "He, Zhang, Ren & Sun (2016), Deep residual learning for image recognition, section 3",
        "Hinton, Osindero & Teh (2006), A fast learning algorithm for deep belief nets",
    )

    def check(self, losses: Losses) -> Answer:
        """Whether anything was lost that many layers share."""
        if losses.depth <= 0:
            return Answer(holds=False)
        factor, left = 10 ** (-losses.total / losses.layers), max(0.0, losses.total)
        return Answer(
            holds=True,
            weight=losses.depth,
            sentence=f"{losses.layers} layers multiply a factor of {factor:.2g} each: 10^-{left:.1f} is left",
            evidence=(
                Quantity(name="layers on the way", value=float(losses.layers), unit="layers"),
                Quantity(name="mean factor a layer", value=factor),
                Quantity(name="lost to depth", value=losses.depth, unit="decades"),
            ),
        )
