"""GW202 and GW203: what many layers, or many residual sums, multiply a gradient up to."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.gains import DOUBLES, Gains
from lightning_gradwatch.diagnose.losses import MILD, Losses
from lightning_gradwatch.records import CauseKind, Finding, Kind, Quantity


class DepthMultiplies(Rule):
    """A long product of factors slightly above one."""

    code = "GW202"
    title = "Depth multiplies small gains"
    kind = CauseKind.DEPTH
    findings = (Kind.EXPLODING, Kind.NONFINITE)
    looks_for = f"""
        The part of the growth along depth that no single operation can be blamed for: up to {MILD} decades each (a
        factor of {10**MILD:.2f}), and gains in operations that are neither weights nor residual sums nor recurrent."""
    harm = """
        A product of factors above one grows exponentially with their number: no one learning rate suits both ends of
        the network."""
    false_alarms = """
        Layers in front of a normalisation may get gradients that are large by the same factor by which their weights
        are small."""
    example = """
        nn.Sequential(*[m for _ in range(100) for m in (nn.Linear(64, 64), nn.ReLU())])  # at 1.1 times He's weights"""
    remedy = """
        Fewer layers; residual connections with a small scale; a normalisation in every layer; orthogonal weights."""
    is_remedy_safe = """
        They change the network: before training."""
    sources = (
        "Hanin (2018), Which neural net architectures give rise to exploding and vanishing gradients?, theorem 1",
        "Yang et al. (2019), A mean field theory of batch normalization, section 4",
    )

    def check(self, gains: Gains) -> Answer:
        """Whether anything was gained that many layers share."""
        weight = gains.depth + gains.norm
        if weight <= 0:
            return NO
        return Answer(
            holds=True,
            weight=weight,
            sentence=f"{gains.layers} layers multiply the gradient by {10 ** (gains.total / gains.layers):.2g} each",
            evidence=(
                Quantity(name="layers on the way", value=float(gains.layers), unit="layers"),
                Quantity(name="gained by depth", value=weight, unit="decades"),
            ),
        )


class SumsWithoutScale(Rule):
    """Residual sums change the size of the gradient, block by block."""

    code = "GW203"
    title = "Residual sums are not scaled"
    kind = CauseKind.RESIDUAL
    findings = (Kind.EXPLODING, Kind.NONFINITE, Kind.VANISHING)
    looks_for = f"""
        Residual blocks (a sum of a branch and what goes around it) that gain decades one after the other, {DOUBLES:.2f}
        each where the branch is as large as its input, without a normalisation behind them that gives these back; or
        sums that are scaled down and lose them."""
    harm = """
        x + f(x) doubles the mean square where f keeps the size: after 40 blocks activations and gradients are a million
        times as large. (x + f(x)) / 2 halves it instead: what the skip connection was there for is lost."""
    false_alarms = """
        Pre-normalised blocks whose sum grows slowly (by the square root of their number) are healthy and lose less than
        two decades in a hundred blocks."""
    example = """
        for block in blocks:
            x = x + block(x)  # 40 times, and nothing normalised in between"""
    remedy = """
        Start the last weights (or a scale) of every branch at zero, or scale branches by 1/sqrt(number of blocks);
        leave the skip itself unscaled; or normalise inside the branch."""
    is_remedy_safe = """
        A zero-initialised branch changes nothing but the start: safe before training."""
    sources = (
        "Zhang, Dauphin & Ma (2019), Fixup initialization: residual learning without normalization, section 2",
        "Hanin & Rolnick (2018), How to start training: the effect of initialization and architecture, theorem 6",
        "He, Zhang, Ren & Sun (2016), Identity mappings in deep residual networks, equation 7",
    )

    def check(self, finding: Finding, losses: Losses | None = None, gains: Gains | None = None) -> Answer | None:
        """Whether residual sums gained or lost decades of their own."""
        if gains is not None:
            return _gain(gains) if gains.residual > 0 else NO
        if losses is None:
            return None
        if losses.residual <= 0:
            return NO
        return Answer(
            holds=True,
            weight=losses.residual,
            sentence=f"residual sums lose {losses.residual:.1f} decades: the skip connections are scaled down, too",
            evidence=(Quantity(name="lost in residual sums", value=losses.residual, unit="decades"),),
        )


def _gain(gains: Gains) -> Answer:
    blocks = max(1, gains.blocks)
    return Answer(
        holds=True,
        weight=gains.residual,
        sentence=f"{gains.blocks} residual blocks multiply the gradient by {10 ** (gains.residual / blocks):.2g} each",
        evidence=(
            Quantity(name="residual blocks", value=float(gains.blocks), unit="blocks"),
            Quantity(name="gained in residual sums", value=gains.residual, unit="decades"),
        ),
    )
