"""Smaller steps."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule

_STEADIES = "smaller steps steady a fit that jumps about, which is all that they do here."
# Below everything that repairs: it is named for completeness, and to say what it does not do.
_VANISHING = 0.05


class DecayLR(RemedyRule):
    """A smaller learning rate: steadies a fit that explodes or swings, and repairs no path that loses the gradient."""

    name: ClassVar[str] = "DecayLR"
    title: ClassVar[str] = "learning-rate decay"
    source: ClassVar[str] = (
        "Bottou, Curtis & Nocedal, Optimization methods for large-scale machine learning (2018), section 4.2"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LEARNING_RATE: Cure(
            fit=0.9, why="smaller steps no longer throw the weights where the slopes are flat."
        ),
        CauseKind.INITIALIZATION: Cure(fit=_VANISHING, why=_STEADIES),
        CauseKind.ACTIVATION: Cure(fit=_VANISHING, why=_STEADIES),
        CauseKind.DEPTH: Cure(fit=_VANISHING, why=_STEADIES),
        CauseKind.RECURRENCE: Cure(fit=_VANISHING, why=_STEADIES),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits learning rates that are too high; for a vanishing gradient never before a remedy that repairs it."""
        cause = self.target(finding)
        if cause is None or finding.kind is Kind.STALLED:  # its steps are too small already
            return None
        vanishing = finding.kind is Kind.VANISHING
        fit = min(self.cures[cause.kind].fit, _VANISHING) if vanishing else self.cures[cause.kind].fit
        return Advice(
            cause=cause.kind,
            fit=fit,
            advice=_ADVICE[vanishing],
            reason=f"{self.because(cause)} {_LIMITS[vanishing]}",
        )


_ADVICE = {
    True: "Lower the learning rate only to steady the fit; decay does not repair a dead path.",
    False: "Lower the learning rate, or let it decay while the fit runs (a schedule, or decay_lr).",
}
_LIMITS = {
    True: "Of 16 vanished fits that were repeated at a tenth of the rate none recovered.",
    False: "It needs no change of the network and can be taken back.",
}
