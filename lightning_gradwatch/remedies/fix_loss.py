"""The loss that belongs to the output."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule

_WRONG = "GW612"


class FixLoss(RemedyRule):
    """A loss on bare outputs, averaged, of targets with size 1.  Advice only."""

    name: ClassVar[str] = "FixLoss"
    title: ClassVar[str] = "a loss in scale"
    source: ClassVar[str] = (
        "Goodfellow, Bengio & Courville, Deep learning (2016), section 6.2.2; "
        "LeCun, Bottou, Orr & Müller, Efficient backprop (1998), section 4.5"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LOSS: Cure(fit=0.95, why="the loss decides how much gradient the network is handed at all."),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits a loss out of scale, and an output that saturates in front of the wrong one."""
        cause = self.target(finding)
        if cause is None:
            return None
        wrong = cause.code == _WRONG
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="a loss on logits" if wrong else self.title,
            advice=_LOGITS if wrong else _ADVICE[finding.kind is Kind.STALLED],
            reason=f"{self.because(cause)} {_REASON[wrong]}",
        )


_LOGITS = "Use cross_entropy or binary_cross_entropy_with_logits on the bare output."
_ADVICE = {
    True: "Take small factors off the loss; give the terms of a sum weights near 1.",
    False: 'Average the loss (reduction="mean") and standardise the targets.',
}
_REASON = {
    False: "Plain descent steps in proportion to the loss; then look at the rate once more.",
    True: "It undoes the slope of the sigmoid or softmax exactly, and keeps off log(0).",
}
