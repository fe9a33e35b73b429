"""Candidates for a cure, tried on copies of a running fit beside an untreated one, within a budget of steps.

All copies get the same batches in the same order, each of them fresh: the loss of a step is that of a batch which the
copy has not been trained on yet, so that no other batches have to be held back.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lightning_gradwatch.records import Finding
from lightning_gradwatch.verify.arm import Arm, Origin
from lightning_gradwatch.verify.candidates import Candidate
from lightning_gradwatch.verify.paired import compare, mean, told
from lightning_gradwatch.verify.yardstick import yardstick

# What a measured step costs beside another one.
LOOK = 2.0
# Steps in the first round: at least, at most; and those of the last round at most.
FEWEST, FIRST, MOST = 4, 20, 60
# So many candidates are tried at most, and so many of them go on after the first round.
CANDIDATES, FINALISTS = 6, 2
# Losses of the last third of the steps are compared, as they would be after three times as far again: another network
# often begins with a higher loss, and falls faster.  No loss is believed to change by more than half of what it is.
LAST, AHEAD, BELIEVED = 3, 3.0, 0.5
# A gradient has come back where this share of what was lost has, and no more decades than these are still missing.
COMES_BACK, MISSING = 0.5, 1.5


@dataclass
class Result:
    """How one candidate did."""

    candidate: Candidate
    loss: float  # mean over the last steps, as foreseen
    steps: int
    effect: str  # "better", "same", "worse" than untreated; "dropped" after the first round; "failed": not tried
    why: str = ""  # where it failed

    @property
    def name(self) -> str:
        """As people read it."""
        return " + ".join(map(repr, self.candidate))


@dataclass
class Outcome:
    """What a contest found."""

    best: Candidate | None = None  # the one that is proved to help; None: none is
    results: list[Result] = field(default_factory=list["Result"])
    spent: float = 0.0  # steps, measured ones by what they cost
    untreated: float = math.nan  # loss of the untreated copy, mean over the same steps
    flow: tuple[float, float] | None = None  # how ill untreated and treated copy are, in decades (or a share)
    arm: Arm | None = None  # the best one's copy


class Contest:
    """One contest; only inside ``own_ground``.

    Args:
        origin: where the copies come from.
        finding: what is to be cured.
        budget: steps that may be spent in all.
    """

    def __init__(self, origin: Origin, finding: Finding, budget: float) -> None:
        self._origin, self._budget = origin, budget
        self._stick = yardstick(finding)
        self._outcome = Outcome()

    def run(self, candidates: Sequence[Candidate], catch_up: int = 0) -> Outcome:
        """Try as many of them, in order, as the budget allows.

        Args:
            candidates: what to try.
            catch_up: so many further steps the winner's copy makes, as far as the budget goes: those that the fit lost.
        """
        outcome, room = self._outcome, self._budget
        # Half of the room goes to the first round, the rest to finalists and the untreated copy.
        most = min(CANDIDATES, int(room / 2 / FEWEST))
        arms = self._arms(candidates, most) if most >= 1 else []
        if not arms:
            return outcome
        untreated = Arm(self._origin)
        self._begin(untreated)
        first = max(FEWEST, min(FIRST, int(room / 2 / len(arms))))
        for arm in arms:
            self._begin(arm)
            self._after(arm, first - len(arm.losses))
        ranked = sorted(arms, key=lambda arm: self._rank(untreated, arm))
        finalists = [arm for arm in ranked if math.isfinite(_loss(arm))][: min(FINALISTS, max(1, len(arms) - 1))]
        rest = int((room - outcome.spent - first) / (len(finalists) + 1)) if finalists else 0
        for arm in finalists:
            self._after(arm, max(0, min(MOST, rest)))
        self._after(untreated, max((len(arm.losses) for arm in finalists), default=0) - len(untreated.losses))
        self._decide(untreated, ranked, sorted(finalists, key=lambda arm: self._rank(untreated, arm)))
        if outcome.arm is not None:
            self._after(outcome.arm, max(0, min(catch_up, int(self._budget - outcome.spent))))
        return outcome

    def _arms(self, candidates: Sequence[Candidate], most: int) -> list[Arm]:
        """Treated copies; of a candidate that cannot be tried, the sentence why."""
        arms: list[Arm] = []
        for candidate in candidates:
            if len(arms) == most:
                break
            try:
                arm = Arm(self._origin, candidate)
                if arm.is_changed:
                    arms.append(arm)
            except Exception as error:  # the user's own code, in a situation that it was not made for
                self._fails(candidate, error)
        return arms

    def _begin(self, arm: Arm) -> None:
        """The first step; measured, where the finding can be seen in one."""
        if self._stick is None:
            self._after(arm, 1)
            return
        with self._failing(arm):
            frame = arm.look()
            arm.ill = None if frame is None else self._stick.measure(frame)
        self._outcome.spent += LOOK

    def _after(self, arm: Arm, steps: int) -> None:
        """So many further steps."""
        before = len(arm.losses)
        with self._failing(arm):
            arm.train(max(0, steps) if all(map(math.isfinite, arm.losses)) else 0)
        self._outcome.spent += len(arm.losses) - before

    @contextmanager
    def _failing(self, arm: Arm) -> Iterator[None]:
        """What breaks a treated copy is noted; without any treatment nothing can be tried at all."""
        try:
            yield
        except Exception as error:
            if not arm.treatments:
                raise
            self._fails(arm.treatments, error)
            arm.losses.append(math.inf)

    def _rank(self, untreated: Arm, arm: Arm) -> tuple[bool, float]:
        """Those first whose gradient has come back, then by what their loss is heading for."""
        return self._back(untreated, arm) is False, _loss(arm)

    def _back(self, untreated: Arm, arm: Arm) -> bool | None:
        """Whether the gradient has come back; None: one cannot see that."""
        stick, ill, now = self._stick, untreated.ill, arm.ill
        if stick is None or ill is None or now is None or ill < stick.least:
            return None
        return stick.recovered(ill, now) >= COMES_BACK and now <= MISSING

    def _fails(self, candidate: Candidate, error: Exception) -> None:
        why = f"{type(error).__name__}: {error}"
        self._outcome.results.append(Result(candidate, math.inf, 0, "failed", why))

    def _decide(self, untreated: Arm, arms: Sequence[Arm], finalists: Sequence[Arm]) -> None:
        """The first of the finalists whose loss is lower, or not higher where its gradient has come back."""
        outcome, failed = self._outcome, [result.candidate for result in self._outcome.results]
        outcome.untreated = _loss(untreated)
        effects = {id(arm): _compared(untreated, arm) for arm in finalists}
        for arm in arms:
            if arm.treatments not in failed:
                effect = effects.get(id(arm), "dropped")
                outcome.results.append(Result(arm.treatments, _loss(arm), len(arm.losses), effect))
        for arm in finalists:
            if effects[id(arm)] == "better" or (effects[id(arm)] == "same" and self._back(untreated, arm)):
                outcome.best, outcome.arm = arm.treatments, arm
                if untreated.ill is not None and arm.ill is not None:
                    outcome.flow = untreated.ill, arm.ill
                break


def foreseen(losses: Sequence[float]) -> list[float]:
    """The last losses, moved to where they are heading; infinite where any is.

    Example:
        >>> foreseen([4.0, 4.0, 3.5, 3.5])
        [2.0, 2.0]
        >>> foreseen([900.0, 900.0, 2.0, 2.0])
        [1.0, 1.0]
    """
    width = _width(losses)
    if not all(map(math.isfinite, losses)):
        return [math.inf] * width
    last = mean(losses[-width:])
    bound = BELIEVED * abs(last)
    change = max(-bound, min(bound, AHEAD * (last - mean(losses[:width]))))
    return [loss + change for loss in losses[-width:]]


def _loss(arm: Arm) -> float:
    """What its loss is heading for; infinite where it ever broke."""
    return mean(foreseen(arm.losses))


def _compared(untreated: Arm, arm: Arm) -> str:
    """By the last losses, or by where they are heading: by what speaks better for the treatment.

    One that seemed to help and does not is found out later, in the fit.
    """
    if len(untreated.losses) < len(arm.losses):  # it broke on the way
        return "better"
    beside, width = untreated.losses[: len(arm.losses)], _width(arm.losses)
    effects = compare(beside[-width:], arm.losses[-width:]), _compared_ahead(beside, arm.losses)
    return min(effects, key=("better", "same", "worse").index)


def _compared_ahead(beside: Sequence[float], losses: Sequence[float]) -> str:
    """Where both are heading; its error is that of both ends of the line that is drawn on."""
    before, after, width = mean(foreseen(beside)), mean(foreseen(losses)), _width(losses)
    if not (math.isfinite(before) and math.isfinite(after)):
        return compare([before], [after])
    differences = [a - b for a, b in zip(beside, losses, strict=True)]
    ends = differences[:width], differences[-width:]
    noise = math.sqrt(statistics.fmean(statistics.variance(end) for end in ends))
    error = noise * math.sqrt((AHEAD**2 + (1 + AHEAD) ** 2) / width)
    return told(before - after, error, abs(mean(beside[-width:])))


def _width(losses: Sequence[float]) -> int:
    return max(2, len(losses) // LAST)
