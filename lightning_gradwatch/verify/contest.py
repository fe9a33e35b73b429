"""Candidates for a cure, tried on copies of a running fit beside an untreated one, within a budget of steps."""

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

# What a look costs beside a training step: a held-back batch is only run forwards, a measured step is read as well.
LOSE, LOOK = 0.4, 2.0
# Steps that every candidate is given at least, and finalists at most.
FEWEST, MOST = 3, 60
# So many candidates go on after the first round.
FINALISTS = 2


@dataclass
class Result:
    """How one candidate did."""

    candidate: Candidate
    loss: float  # on held-back batches, after the steps that it was given
    steps: int
    effect: (
        str  # "better", "same", "worse" than the untreated copy; "dropped" after the first round; "failed": not tried
    )
    why: str = ""  # where it failed

    @property
    def name(self) -> str:
        """As people read it."""
        return " + ".join(map(repr, self.candidate))


@dataclass
class Outcome:
    """What a contest found."""

    best: Candidate | None  # the one that is proved to help; None: none is
    results: list[Result] = field(default_factory=list["Result"])
    spent: float = 0.0  # steps, looks counted by what they cost
    untreated: float = math.nan  # loss of the untreated copy on held-back batches
    flow: tuple[float, float] | None = None  # how ill untreated and treated copy are, in decades (or a share)


class Contest:
    """One contest; only inside ``own_ground``.

    Args:
        origin: where the copies come from.
        finding: what is to be cured.
        budget: steps that may be spent in all.
    """

    def __init__(self, origin: Origin, finding: Finding, budget: float) -> None:
        self._origin, self._finding, self._budget = origin, finding, budget
        self._outcome = Outcome(None)

    def run(self, candidates: Sequence[Candidate]) -> Outcome:
        """Try as many of them, in order, as the budget allows."""
        outcome, looks = self._outcome, LOSE * max(1, len(self._origin.held))
        room = self._budget - 2 * LOOK - (FINALISTS + 1) * looks
        most = int(room / (FEWEST + looks)) - 1
        if most < 1 or not candidates:
            return outcome
        arms = self._arms(candidates, most)
        length = max(FEWEST, min(MOST // 2, int(0.5 * room / (len(arms) + 1) - looks)))
        untreated = Arm(self._origin)
        ranked = sorted(arms, key=lambda arm: self._after(arm, length))
        finalists = [arm for arm in ranked if math.isfinite(self._loss(arm))][:FINALISTS]
        self._after(untreated, length)
        rest = int((room - outcome.spent) / (len(finalists) + 1)) if finalists else 0
        for arm in (*finalists, untreated):
            self._after(arm, max(0, min(MOST - length, rest)))
        self._decide(untreated, ranked, finalists)
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
                self._outcome.results.append(_failed(candidate, error))
        return arms

    def _after(self, arm: Arm, steps: int) -> float:
        """The loss after so many further steps; an arm that breaks has none."""
        try:
            arm.train(steps)
            arm.held = arm.lose()
        except Exception as error:
            if not arm.treatments:
                raise
            self._outcome.results.append(_failed(arm.treatments, error))
            arm.held = [math.inf]
        self._outcome.spent += steps + LOSE * len(self._origin.held)
        return self._loss(arm)

    def _loss(self, arm: Arm) -> float:
        broken = not all(map(math.isfinite, arm.losses))
        return math.inf if broken else mean(arm.held)

    def _decide(self, untreated: Arm, arms: Sequence[Arm], finalists: Sequence[Arm]) -> None:
        outcome, failed = self._outcome, {result.candidate for result in self._outcome.results}
        outcome.untreated = self._loss(untreated)
        for arm in arms:
            if arm.treatments not in failed:
                effect = compare(untreated.held, arm.held) if arm in finalists else "dropped"
                outcome.results.append(Result(arm.treatments, self._loss(arm), len(arm.losses), effect))
        best = min(finalists, key=self._loss, default=None)
        if best is not None and math.isfinite(self._loss(best)) and compare(untreated.held, best.held) == "better":
            outcome.best = best.treatments
            outcome.flow = self._flow(untreated, best)

    def _flow(self, untreated: Arm, best: Arm) -> tuple[float, float] | None:
        """How ill both are now."""
        stick = yardstick(self._finding)
        if stick is None:
            return None
        self._outcome.spent += 2 * LOOK
        frames = [arm.look() for arm in (untreated, best)]
        ills = [None if frame is None else stick.measure(frame) for frame in frames]
        return None if ills[0] is None or ills[1] is None else (ills[0], ills[1])


def _failed(candidate: Candidate, error: Exception) -> Result:
    return Result(candidate, math.inf, 0, "failed", f"{type(error).__name__}: {error}")
