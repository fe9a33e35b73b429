"""Candidates for a cure, tried on copies of a running fit beside an untreated one, within a budget of steps.

All copies get the same batches in the same order, each of them fresh: the loss of a step is that of a batch which the
copy has not been trained on yet, so that no other batches have to be held back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from lightning_gradwatch.records import Finding
from lightning_gradwatch.remedies.treatment import Treatment
from lightning_gradwatch.verify.arm import Arm, Origin
from lightning_gradwatch.verify.paired import compare, mean
from lightning_gradwatch.verify.yardstick import yardstick

Candidate = tuple[Treatment, ...]

# What a measured step costs beside another one.
LOOK = 2.0
# Steps in the first round: at least, at most; and those of the last round at most.
FEWEST, FIRST, MOST = 4, 20, 60
# So many candidates are tried at most, and so many of them go on after the first round.
CANDIDATES, FINALISTS = 6, 2
# Losses of the last third of the steps are compared, as they would be after three times as far again: another network
# often begins with a higher loss, and falls faster.  No loss is believed to change by more than half of what it is.
LAST, AHEAD, BELIEVED = 3, 3.0, 0.5
# Without this share of what was lost a gradient has not come back.
COMES_BACK = 0.5


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
        outcome = self._outcome
        room = self._budget - (2 * LOOK if self._stick else 0)
        # Of k candidates one third of the room goes to the first round, the rest to finalists and the untreated copy.
        most = min(CANDIDATES, int(room / 2 / FEWEST))
        arms = self._arms(candidates, most) if most >= 1 else []
        if not arms:
            return outcome
        first = max(FEWEST, min(FIRST, int(room / 2 / len(arms))))
        ranked = sorted(arms, key=lambda arm: self._after(arm, first))
        finalists = [arm for arm in ranked if math.isfinite(_loss(arm))][: min(FINALISTS, max(1, len(arms) - 1))]
        rest = int((room - outcome.spent - first) / (len(finalists) + 1)) if finalists else 0
        for arm in finalists:
            self._after(arm, max(0, min(MOST, rest)))
        self._decide(ranked, sorted(finalists, key=_loss))
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

    def _after(self, arm: Arm, steps: int) -> float:
        """The loss after so many further steps; an arm that breaks has none."""
        before = len(arm.losses)
        try:
            arm.train(steps)
        except Exception as error:
            if not arm.treatments:
                raise
            self._fails(arm.treatments, error)
            arm.losses.append(math.inf)
        self._outcome.spent += len(arm.losses) - before
        return _loss(arm)

    def _fails(self, candidate: Candidate, error: Exception) -> None:
        why = f"{type(error).__name__}: {error}"
        self._outcome.results.append(Result(candidate, math.inf, 0, "failed", why))

    def _decide(self, arms: Sequence[Arm], finalists: Sequence[Arm]) -> None:
        outcome, failed = self._outcome, [result.candidate for result in self._outcome.results]
        untreated = Arm(self._origin)
        self._after(untreated, max((len(arm.losses) for arm in finalists), default=FEWEST))
        outcome.untreated = _loss(untreated)
        effects = {id(arm): _compared(untreated, arm) for arm in finalists}
        for arm in arms:
            if arm.treatments not in failed:
                effect = effects.get(id(arm), "dropped")
                outcome.results.append(Result(arm.treatments, _loss(arm), len(arm.losses), effect))
        for arm in finalists:
            if effects[id(arm)] != "worse" and self._is_proved(untreated, arm, effects[id(arm)]):
                outcome.best, outcome.arm = arm.treatments, arm
                break

    def _is_proved(self, untreated: Arm, arm: Arm, effect: str) -> bool:
        """The loss is lower; or it is not higher, and most of the gradient has come back."""
        self._outcome.flow = flow = self._flow(untreated, arm)
        if effect == "better":
            return True
        back = self._stick is not None and flow is not None and self._stick.recovered(*flow) >= COMES_BACK
        return back and flow is not None and self._stick is not None and flow[0] >= self._stick.least

    def _flow(self, untreated: Arm, best: Arm) -> tuple[float, float] | None:
        """How ill both are now."""
        if self._stick is None:
            return None
        self._outcome.spent += 2 * LOOK
        frames = [arm.look() for arm in (untreated, best)]
        ills = [None if frame is None else self._stick.measure(frame) for frame in frames]
        return None if ills[0] is None or ills[1] is None else (ills[0], ills[1])


def foreseen(losses: Sequence[float]) -> list[float]:
    """The last losses, moved to where they are heading; infinite where any is.

    Example:
        >>> foreseen([4.0, 4.0, 3.5, 3.5])
        [2.0, 2.0]
        >>> foreseen([900.0, 900.0, 2.0, 2.0])
        [1.0, 1.0]
    """
    width = max(2, len(losses) // LAST)
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
    beside, width = untreated.losses[: len(arm.losses)], max(2, len(arm.losses) // LAST)
    effects = compare(beside[-width:], arm.losses[-width:]), compare(foreseen(beside), foreseen(arm.losses))
    return min(effects, key=("better", "same", "worse").index)
