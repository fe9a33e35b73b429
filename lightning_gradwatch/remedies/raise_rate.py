"""Larger steps."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule


class RaiseRate(RemedyRule):
    """A higher learning rate, or a smaller eps, for a fit that does not move."""

    name: ClassVar[str] = "RaiseRate"
    title: ClassVar[str] = "a higher learning rate"
    source: ClassVar[str] = "Smith, Cyclical learning rates for training neural networks (2017), section 3.3"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LEARNING_RATE: Cure(fit=0.95, why="updates are in proportion to the rate, and these are too small."),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits fits that stall, unless it is weight decay that holds them."""
        cause = self.target(finding)
        if cause is None or finding.kind is not Kind.STALLED or cause.code == "GW604":
            return None
        eps = cause.code == "GW603"
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="a smaller eps" if eps else self.title,
            advice="Give the optimizer a smaller eps (1e-12 in float32)." if eps else _RAISE,
            reason=f"{self.because(cause)} Go by steps of ten and watch gradwatch/norm: above some rate it explodes.",
        )


_RAISE = "Raise the rate by a factor of ten until the loss moves, or ask a rate finder."
