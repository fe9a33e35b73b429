"""How a fit went until it fell ill: whether its steps were bold, and whether its gradient climbed or leapt."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lightning_gradwatch.records import Finding
from lightning_gradwatch.records.history import History

# ||dw||/||w|| on one step.  The usual advice is 1e-3 a step; a step that replaces a third of a weight learns nothing.
BOLD = 0.3
RESTLESS = 0.03


@dataclass(frozen=True, kw_only=True)
class Course:
    """The measured steps before a finding's first one."""

    steps: int  # how many there were on which the gradient was finite
    restless: float  # largest update of the weight in the middle on any of them; 0 where none was measured
    boldest: float  # largest update of any weight on any step so far; 0 where none was measured
    bold_step: int  # the step of that; -1: none
    climbed: float  # decades by which the gradient stood above its lowest quarter on the last of them
    worsened: float  # factor of the loss on the last of them over the best one; 1 where not known

    def bold_before(self, step: int) -> bool:
        """Whether weights leapt before that step, so that what it shows may be their doing."""
        return self.restless >= RESTLESS or (self.boldest >= BOLD and 0 <= self.bold_step < step)

    @property
    def is_calm(self) -> bool:
        """Whether nothing announced what came: neither the gradient nor the loss rose, and no weight leapt."""
        return self.climbed < 1 and self.worsened < 2 and self.restless < RESTLESS and self.boldest < BOLD


def course(finding: Finding, history: History) -> Course:
    """How the fit went until the finding's first step.

    Args:
        finding: what was found.
        history: what the frames so far told.
    """
    before = [m for m in history.moments if m.step < finding.first_step and math.isfinite(m.norm)]
    norms = sorted(moment.norm for moment in before)
    losses = [moment.loss for moment in before if math.isfinite(moment.loss)]
    best = min(losses, default=0.0)
    boldest, _, step = history.boldest
    return Course(
        steps=len(before),
        restless=max((m.update for m in before if math.isfinite(m.update)), default=0.0),
        boldest=boldest,
        bold_step=step,
        climbed=before[-1].norm - norms[len(norms) // 4] if before else 0.0,
        worsened=losses[-1] / best if losses and best > 0 else 1.0,
    )
