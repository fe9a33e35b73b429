"""A larger loss, or a format that reaches further down."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule


class ScaleLoss(RemedyRule):
    """Loss scaling, or bfloat16: brings the gradient back into the range of its number format.  Advice only."""

    name: ClassVar[str] = "ScaleLoss"
    title: ClassVar[str] = "loss scaling, or bfloat16"
    source: ClassVar[str] = "Micikevicius et al., Mixed precision training (2018), section 3.2"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.PRECISION: Cure(fit=0.95, why="numbers then stay clear of both ends of their format."),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits whenever a number format has too little room; under a scaler it is the scale that must be mended."""
        cause = self.target(finding)
        if cause is None:
            return None
        if finding.kind in _FORMATS:
            title, advice, reason = _FORMATS[finding.kind]
            fit, why = self.cures[cause.kind].fit, f"{self.because(cause)} {reason}"
            return Advice(cause=cause.kind, fit=fit, title=title, advice=advice, reason=why)
        scaled = _scale(cause) != 1
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="bfloat16, or a larger loss scale" if scaled else self.title,
            advice=_ADVICE[scaled],
            reason=f"{self.because(cause)} {_REASON[scaled]}",
        )


def _scale(cause: Cause) -> float:
    """What the loss is multiplied by already; 1 where nobody does."""
    return next((quantity.value for quantity in cause.evidence if quantity.name == "loss scale"), 1.0)


# Where it is not the gradient's smallness: numbers that overflow, updates that round away.
_FORMATS = {
    Kind.NONFINITE: (
        "bfloat16",
        'Train with precision="bf16-mixed", whose range is that of float32.',
        "No scale of the loss helps activations that overflow.",
    ),
    Kind.STALLED: (
        "weights in float32",
        'Keep the weights in float32: precision="bf16-mixed" in place of "bf16-true".',
        "Two or three digits do not hold an update of a thousandth.",
    ),
}
_ADVICE = {
    False: 'Train with precision="16-mixed", which scales the loss, or with precision="bf16-mixed".',
    True: 'Train with precision="bf16-mixed", or give the GradScaler a larger init_scale.',
}
_REASON = {
    False: "No weight and no learning rate changes by it: the scaler divides again before the step.",
    True: "A scale that has fallen that far has met overflows: look for the layer that overflows, too.",
}
