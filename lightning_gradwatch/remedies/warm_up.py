"""Small steps first."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule


class WarmUp(RemedyRule):
    """A learning rate that begins near zero and rises over the first steps."""

    name: ClassVar[str] = "WarmUp"
    title: ClassVar[str] = "learning-rate warm-up"
    source: ClassVar[str] = (
        "Goyal et al., Accurate, large minibatch SGD (2017), section 2.2; "
        "Xiong et al., On layer normalization in the Transformer architecture (2020), section 3"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.NORMALIZATION: Cure(
            fit=0.5,
            why="behind a normalisation on the trunk the top layers get too much at first, the lower too little.",
        ),
        CauseKind.LEARNING_RATE: Cure(
            fit=0.5, why="the first steps, on weights that know nothing yet, are the ones that throw them away."
        ),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits steps that are too large at first; a gradient that vanishes, only behind normalisations on the trunk."""
        cause = self.target(finding)
        if cause is None or finding.kind is Kind.STALLED:
            return None
        if finding.kind is Kind.VANISHING and cause.kind is not CauseKind.NORMALIZATION:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Let the rate rise from 0 over the first few hundred steps (LinearLR).",
            reason=f"{self.because(cause)} It costs a few hundred short steps and changes nothing in the network.",
        )
