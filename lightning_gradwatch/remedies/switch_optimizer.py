"""An optimizer that gives every weight its own step."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule

_STEPS = "it divides each weight's step by the size of its own gradients, so that small ones still move it."


class SwitchOptimizer(RemedyRule):
    """Adam with a decaying learning rate: helps weights that still get a true, if small, gradient."""

    name: ClassVar[str] = "SwitchOptimizer"
    title: ClassVar[str] = "Adam with a decaying learning rate"
    source: ClassVar[str] = "Kingma & Ba, Adam: a method for stochastic optimization (2015), algorithm 1 and section 4"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LEARNING_RATE: Cure(
            fit=0.6, why="it makes the size of a step independent of the size of the gradient."
        ),
        CauseKind.INITIALIZATION: Cure(fit=0.3, why=_STEPS),
        CauseKind.ACTIVATION: Cure(fit=0.15, why=_STEPS),
        CauseKind.DEPTH: Cure(fit=0.15, why=_STEPS),
        CauseKind.RECURRENCE: Cure(fit=0.15, why=_STEPS),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits beside another remedy; alone it does not repair a path that loses the gradient."""
        cause = self.target(finding)
        if cause is None:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Use torch.optim.Adam with a decaying rate (CosineAnnealingLR), beside another remedy.",
            reason=f"{self.because(cause)} {_limits(finding)}",
        )


def _limits(finding: Finding) -> str:
    if finding.kind is not Kind.VANISHING:
        return "The decay lets it settle where steps of full size would overshoot."
    return (
        "It enlarges what arrives and brings nothing back that was lost on the way: gradients near its eps of 1e-8, or "
        "drowned in noise, stay useless."
    )
