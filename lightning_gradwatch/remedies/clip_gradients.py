"""A gradient that may only be so long."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule

_BOUNDS = "one batch, or one long sequence, then moves the weights by no more than any other."
# What explodes or breaks over a fit: clipping bounds the step, it does not change how a gradient spreads along depth.
_OVER_TIME = (Kind.EXPLODING, Kind.NONFINITE)


class ClipGradients(RemedyRule):
    """Clipping by norm: keeps the gradient's direction and bounds its length."""

    name: ClassVar[str] = "ClipGradients"
    title: ClassVar[str] = "clipping by norm"
    source: ClassVar[str] = (
        "Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks (2013), algorithm 1; "
        "Brock et al., High-performance large-scale image recognition without normalization (2021), equation 3"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.RECURRENCE: Cure(fit=0.85, why=_BOUNDS),
        CauseKind.DATA: Cure(fit=0.6, why=_BOUNDS),
        CauseKind.LEARNING_RATE: Cure(fit=0.6, why="a step that is bounded cannot throw the weights away."),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits gradients that explode or break over time; a batch that is broken itself has no length to clip."""
        cause = self.target(finding)
        if cause is None or finding.kind not in _OVER_TIME:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Clip by norm: Trainer(gradient_clip_val=1.0), or a little above ordinary norms.",
            reason=f"{self.because(cause)} It keeps the gradient's direction and leaves ordinary steps as they are.",
        )
