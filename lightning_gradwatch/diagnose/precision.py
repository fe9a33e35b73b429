"""GW7xx: the number format has no room for the gradient."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import Answer, Rule
from lightning_gradwatch.records import CauseKind, Frame, Ledger, Quantity
from lightning_gradwatch.records.formats import FormatEnd, format_end, zero_share
from lightning_gradwatch.records.threshold import Threshold

# A mean over a batch costs a decade or two of any format: that much is nobody's fault.
_LEAST = 0.25


class FormatEnds(Rule):
    """The gradient falls below the smallest number that its format holds."""

    code = "GW701"
    title = "The number format ends too early"
    kind = CauseKind.PRECISION
    looks_for = f"""
        Gradients that become exactly zero, or nearly so, close to the smallest number of their format, in each stretch
        of the backward pass by the format of that stretch: 6e-8 for float16, 1e-38 for bfloat16 and float32. Of the
        decades that the format holds below 1, this rule is charged with those that the network did not lose itself, if
        they are at least {_LEAST:.0%} of them."""
    harm = """
        A float16 holds 7 decades below 1. A loss that is multiplied by a small factor, or averaged over very many
        elements, uses them up before the network begins: most elements of the gradient are rounded to zero, and the
        weights stand still although the same network learns in float32."""
    false_alarms = """
        A fit that has converged: its gradients are small because there is little left to learn. The finding is then no
        more than an information. A mask that sets gradients to zero which are near the end of the format anyway cannot
        be told from it."""
    example = """
        trainer = Trainer(precision="16-true")  # float16 without a loss scale
        loss = 1e-6 * nn.functional.cross_entropy(logits, target)"""
    remedy = """
        Scale the loss (`precision="16-mixed"` does so by itself and unscales before the step), or take a format with
        float32's range (`precision="bf16-mixed"` or `"bf16-true"`). If a scaler is at work already and its scale has
        fallen far below 1, look for the overflow that made it fall."""
    is_remedy_safe = """
        Mixed precision changes no weights and can be switched on when a fit is resumed. A larger factor on the loss
        changes the steps of SGD (not of Adam) by that factor."""
    sources = (
        "Micikevicius et al. (2018), Mixed precision training, section 3.2",
        "Kalamkar et al. (2019), A study of BFLOAT16 for deep learning training, section 3",
        "IEEE Standard for Floating-Point Arithmetic 754 (2019), table 3.5",
    )
    thresholds = (
        Threshold(
            name="least",
            value=_LEAST,
            unit="of the format's decades",
            why="a mean over a batch costs one or two of any format",
        ),
    )

    def check(self, ledger: Ledger, frame: Frame) -> Answer:
        """Whether a format ended the gradient before the network had lost it."""
        end = format_end(ledger)
        if end is None or end.taken < _LEAST * -end.smallest:
            return Answer(holds=False)
        return Answer(
            holds=True,
            weight=end.taken,
            sentence=_sentence(end, ledger.scale),
            evidence=(
                Quantity(name=f"smallest number of {end.dtype}", value=10**end.smallest),
                Quantity(name="gradient that enters, an element", value=10**end.entered),
                Quantity(name="zeros", value=zero_share(frame), unit="of the gradients' elements"),
                Quantity(name="loss scale", value=ledger.scale),
            ),
        )


def _sentence(end: FormatEnd, scale: float) -> str:
    size, left = f"{10**end.entered:.1e} an element", max(0.0, end.entered - end.smallest)
    where = "is down to {0} in the loss already" if end.in_loss else "enters the network at {0}"
    at = f", at a loss scale of {scale:g}" if scale != 1 else ""
    text = f"{end.dtype} ends at {10**end.smallest:.0e}, and the gradient {where.format(size)}{at}"
    return f"{text}: {left:.1f} of its {-end.smallest:.1f} decades are left"
