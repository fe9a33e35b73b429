"""A path from the loss to every parameter that is to learn."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule

_UNOWNED = "GW212"


class Reconnect(RemedyRule):
    """Layers that get no gradient are led back to the loss, or given to the optimizer, or frozen.  Advice only."""

    name: ClassVar[str] = "Reconnect"
    title: ClassVar[str] = "a path to the loss"
    source: ClassVar[str] = (
        "Paszke et al., PyTorch: an imperative style, high-performance deep learning library (2019), section 4.3"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.DISCONNECTED: Cure(fit=0.95, why="what no gradient reaches, or no optimizer steps, cannot learn."),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits whenever something is cut off; what to do depends on whether the graph or the optimizer misses it."""
        cause = self.target(finding)
        if cause is None:
            return None
        unowned = cause.code == _UNOWNED
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="parameters in the optimizer" if unowned else self.title,
            advice=_ADVICE[unowned],
            reason=f"{self.because(cause)} If it is meant so, requires_grad_(False) says it and saves time.",
        )


_ADVICE = {
    False: "Look for detach(), no_grad(), .data or NumPy before these layers, and take it out.",
    True: "Give the optimizer all parameters: model.parameters(), or add_param_group(...).",
}
