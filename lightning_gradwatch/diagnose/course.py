"""How a fit went until it fell ill: whether its steps were bold, and whether its gradient climbed or leapt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_gradwatch.records import Finding
from lightning_gradwatch.records.history import History, Moment
from lightning_gradwatch.records.threshold import Threshold

# ||dw||/||w|| on one step.  The usual advice is 1e-3 a step; a step that replaces a third of a weight learns nothing.
BOLD = 0.3
RESTLESS = 0.03
# Decades above the lowest quarter of the gradients so far, and factor above the best loss: the episode has begun.
_RISEN = 1.0
_WORSE = 2.0
# A gradient that is so many decades up at once has not climbed: steps of an ordinary size cannot do that to it.
_AT_ONCE = 3.0
THRESHOLDS = (
    Threshold(
        name="bold step",
        value=BOLD,
        unit="||dw|| / ||w||",
        why="a step that replaces a third of a weight learns nothing",
    ),
    Threshold(
        name="restless",
        value=RESTLESS,
        unit="||dw|| / ||w||, middle weight",
        why="thirty times the usual advice of 1e-3",
    ),
    Threshold(name="risen", value=_RISEN, unit="decades above the lowest quarter", why="the episode has begun"),
    Threshold(name="worse", value=_WORSE, unit="times the best loss", why="the episode has begun"),
    Threshold(
        name="at once", value=_AT_ONCE, unit="decades on one step", why="steps of an ordinary size do not climb so far"
    ),
)


@dataclass(frozen=True, kw_only=True)
class Course:
    """The measured steps before the episode that a finding is about."""

    steps: int  # how many there were on which the gradient was finite
    onset: int  # the measured step with which the episode began: the finding's first one, or an earlier one
    restless: float  # largest update of the weight in the middle on any of them; 0 where none was measured
    boldest: float  # largest update of any weight on any step so far; 0 where none was measured
    bold_step: int  # the step of that; -1: none
    climbed: float  # decades by which the episode's first step stood above them; 0: it is the finding's own

    @property
    def leapt_before(self) -> bool:
        """Whether weights leapt before the episode, so that it may be their doing."""
        return self.restless >= RESTLESS or (self.boldest >= BOLD and 0 <= self.bold_step < self.onset)

    @property
    def is_sudden(self) -> bool:
        """Whether nothing announced the episode: no weight had leapt, and the gradient had not climbed."""
        return not self.leapt_before and (self.climbed == 0 or self.climbed >= _AT_ONCE)


def course(finding: Finding, history: History) -> Course:
    """How the fit went until the finding's episode began.

    Args:
        finding: what was found.
        history: what the frames so far told.
    """
    measured = [m for m in history.moments if m.step < finding.first_step and math.isfinite(m.norm)]
    base = _quartile([moment.norm for moment in measured])
    best = min((m.loss for m in measured if math.isfinite(m.loss)), default=math.nan)
    before = list(measured)
    while before and (before[-1].norm >= base + _RISEN or before[-1].loss >= best + (_WORSE - 1) * abs(best) > best):
        before.pop()
    first = measured[len(before)] if len(before) < len(measured) else None
    boldest, _, step = history.boldest
    return Course(
        steps=len(before),
        onset=finding.first_step if first is None else first.step,
        restless=_restless(before),
        boldest=boldest,
        bold_step=step,
        climbed=0.0 if first is None else max(0.1, first.norm - base),
    )


def _quartile(norms: Sequence[float]) -> float:
    return sorted(norms)[len(norms) // 4] if norms else math.nan


def _restless(moments: Sequence[Moment]) -> float:
    return max((m.update for m in moments if math.isfinite(m.update)), default=0.0)
