"""Less pull towards zero."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule

_DECAY = "GW604"


class LowerDecay(RemedyRule):
    """A smaller weight decay, for weights that it has shrunk to nothing."""

    name: ClassVar[str] = "LowerDecay"
    title: ClassVar[str] = "a smaller weight decay"
    source: ClassVar[str] = "Loshchilov & Hutter, Decoupled weight decay regularization (2019), section 2"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LEARNING_RATE: Cure(
            fit=0.95, why="decay pulls the weights to zero faster than the gradient can push."
        ),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits only where weight decay is to blame."""
        cause = next((one for one in finding.causes if one.code == _DECAY and one.kind in self.cures), None)
        if cause is None:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Lower weight_decay (1e-4 for SGD, 1e-2 for AdamW), and draw the weights anew.",
            reason=f"{self.because(cause)} Weights that have faded do not come back by themselves.",
        )
