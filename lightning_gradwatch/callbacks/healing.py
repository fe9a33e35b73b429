"""``on_vanishing="heal"``: tries remedies on copies of the running fit, and gives the fit what is proved to help."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lightning_gradwatch.anatomy import inspect_model
from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.records import Event, Finding
from lightning_gradwatch.remedies.applied import Applied
from lightning_gradwatch.remedies.registry import remake
from lightning_gradwatch.remedies.surgery.editable import obstacle
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.remedies.surgery.operation import operate_all
from lightning_gradwatch.remedies.surgery.source import patch
from lightning_gradwatch.remedies.treatment import Treatment
from lightning_gradwatch.verify.arm import Arm, Origin, copied
from lightning_gradwatch.verify.batches import fresh
from lightning_gradwatch.verify.candidates import Candidate, Case, candidates
from lightning_gradwatch.verify.casebook import Casebook
from lightning_gradwatch.verify.contest import Contest, Outcome, Result
from lightning_gradwatch.verify.stage import Midway

# Batches of a stream, which cannot be read anew, that are kept to try remedies on; fewer than the least are too few.
KEPT, LEAST = 12, 4
# Bytes that batches for trials may take.
_BYTES = 256 * 2**20
# Steps in all trials of one fit, however long it is.
MOST = 300.0
# Of what is left of the budget, a contest spends so much: a second sickness is to find something too.
SHARE = 0.95
# In this share of the planned steps, or so few, little is lost if weights are drawn anew.
YOUNG, FEW = 0.1, 30


@dataclass(frozen=True)
class _Attempt:
    """One search for a cure."""

    host: Host
    finding: Finding | None  # None: this rank's watch has none, and goes along with the others
    step: int
    batches: list[Any]
    room: float  # steps that may be spent


@dataclass
class Healer:
    """What the watch needs to heal a fit.

    Args:
        budget: what the fit may take in all, in times of its planned steps: 1.3 leaves 30 % of them to trials.
        allowed: names of treatments, or treatments; None: all that the diagnosis names.
        seed: of the random numbers of trials and treatments.
    """

    budget: float = 1.3
    allowed: Sequence[str | Treatment] | None = None
    seed: int = 0
    spent: float = 0.0  # steps
    treated: list[dict[str, Any]] = field(default_factory=list)  # what the fit was given so far, as data
    tried: list[str] = field(default_factory=list)  # "finding: candidate" that was not proved
    batches: deque[Any] = field(default_factory=lambda: deque(maxlen=KEPT))
    applied: Applied | None = None  # whose effect is still to be told

    def keep(self, batch: Any) -> None:
        """A batch that the fit is about to use, copied: what the network does to it in place is not in the copy."""
        self.batches.append(fresh(batch))

    def forget(self) -> None:
        """Let go of what is only needed while the fit runs."""
        self.batches.clear()
        if self.applied is not None:
            self.applied.keep()
        self.applied = None

    # --- trying -------------------------------------------------------------------------------------------------------

    def act(self, host: Host, casebook: Casebook, finding: Finding | None, step: int) -> Event | None:
        """Look for a cure of the finding and carry it out; what was done, None: there is no data to try it on yet.

        All ranks come here together, and do what rank 0 has found best.
        """
        room = SHARE * (min(MOST, (self.budget - 1) * host.planned_steps) - self.spent)
        with own_ground(self.seed):
            batches = self._batches(host, room)
        if host.any_rank(len(batches) < LEAST):
            return None
        attempt = _Attempt(host, finding, step, batches, room)
        tries, outcome, why = [], Outcome(), ""
        try:
            if finding is not None:
                tries, why = self._candidates(attempt, casebook, finding)
                outcome = self._contest(attempt, finding, tries)
        except Exception as error:  # training_step asks for what only a Trainer has, or the network cannot be copied
            why = f"the fit could not be copied: {type(error).__name__}: {error}"
        self.spent += outcome.spent
        best = host.from_rank_zero(None if outcome.best is None else [(repr(one), one.spec()) for one in outcome.best])
        if best is None:
            return self._none(finding, step, outcome, why)
        known = {repr(one): one for candidate in tries for one in candidate}
        treatments = [known.get(told) or remake(spec) for told, spec in best]
        return self._treat(attempt, treatments, outcome)

    def _batches(self, host: Host, room: float) -> list[Any]:
        """Batches to try remedies on, each for one step if there are so many."""
        fresh_ones: list[Any] = []
        size = 0
        for batch in host.fresh_batches():
            if len(fresh_ones) >= max(LEAST, room) or size > _BYTES:
                break
            fresh_ones.append(fresh(batch))
            size += _bytes(batch)
        return fresh_ones if len(fresh_ones) >= LEAST else [*fresh_ones, *self.batches]

    def _candidates(self, attempt: _Attempt, casebook: Casebook, finding: Finding) -> tuple[list[Candidate], str]:
        host, step = attempt.host, attempt.step
        if hindered := obstacle(host.model):
            return [], hindered
        case = Case(
            finding=finding,
            anatomy=casebook.anatomy,
            model=host.model,
            optimizers=host.optimizers,
            is_young=step <= max(FEW, YOUNG * min(host.planned_steps, 1e9)),
        )
        untried = [one for one in candidates(case, self.allowed) if _tried(finding, one) not in self.tried]
        return untried, "" if untried else "no remedy that can be carried out is left for it"

    def _contest(self, attempt: _Attempt, finding: Finding, tries: Sequence[Candidate]) -> Outcome:
        host = attempt.host
        with own_ground(self.seed):
            origin = Origin(
                copy=lambda: copied(host.model, host.optimizers),
                objective=None,
                batches=attempt.batches,
                seed=self.seed,
                midway=Midway(optimizers=(), **host.midway()),
            )
            # A copy's steps make up for those that the fit has lost; ranks would come to different weights.
            lost = 1 + attempt.step - finding.first_step if host.is_alone else 0
            return Contest(origin, finding, attempt.room).run(tries, lost)

    def _none(self, finding: Finding | None, step: int, outcome: Outcome, why: str) -> Event | None:
        if finding is None:
            return None
        self.tried += [_tried(finding, result.candidate) for result in outcome.results]
        told = "; ".join(f"{result.name}: {result.why or f'loss {result.loss:.3g}'}" for result in outcome.results)
        beside = f" beside {outcome.untreated:.3g} untreated" if math.isfinite(outcome.untreated) else ""
        reason = why or (f"none of these did better on copies{beside}: {told}" if told else "the budget is spent")
        return Event(step=step, action="no_cure", finding=finding.id, reason=reason)

    # --- treating -----------------------------------------------------------------------------------------------------

    def _treat(self, attempt: _Attempt, treatments: Sequence[Treatment], outcome: Outcome) -> Event:
        host, batches = attempt.host, attempt.batches
        if self.applied is not None:
            self.applied.keep()
        advice = "\n\n".join(patch(one, host.model) for one in treatments)
        self.applied = operate_all(treatments, host.model, host.optimizers, lambda: iter(batches))
        ahead = _go_on_from(outcome.arm, host) if host.is_alone else 0
        host.edited()
        self.treated += self.applied.spec["treatments"]
        best = next((r for r in outcome.results if r.candidate == outcome.best), None)
        return Event(
            step=attempt.step,
            action="treat",
            finding="" if attempt.finding is None else attempt.finding.id,
            reason=_proof(outcome, best, ahead),
            old=(outcome.untreated,),
            new=(best.loss if best else math.nan,),
            treatment=self.applied.treatment,
            did=(*self.applied.did, *self.applied.left),
            patch=advice,
        )

    def take_back(self, host: Host, event: Event, step: int) -> Event | None:
        """Undo a treatment that made things worse; None: there is nothing to take back any more."""
        if self.applied is None or not self.applied.can_undo:
            return None
        count = len(self.applied.spec["treatments"])
        self.applied.undo()
        host.edited()
        self.applied, self.treated = None, self.treated[:-count]
        why = f"it did harm: {event.effect_sentence}"
        return Event(step=step, action="undo_treat", finding=event.finding, reason=why, treatment=event.treatment)

    # --- what outlives a process --------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """As JSON data."""
        return {"spent": self.spent, "treated": self.treated, "tried": self.tried}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.spent, self.treated = float(state.get("spent", 0.0)), list(state.get("treated", ()))
        self.tried = list(state.get("tried", ()))

    def treat_again(self, model: nn.Module, specs: Sequence[dict[str, Any]], optimizers: Sequence[Any] = ()) -> None:
        """What a resumed fit needs before its weights, or its optimizers' state, are loaded."""
        operate_all([_placed(spec) for spec in specs], model, optimizers, undoable=False)


def renew(casebook: Casebook, model: nn.Module) -> None:
    """The network is another one."""
    casebook.judge.begin_anew(casebook.last_step)
    casebook.anatomy = inspect_model(model)


def _tried(finding: Finding, candidate: Candidate) -> str:
    return f"{finding.kind}: {' + '.join(map(repr, candidate))}"


def _placed(spec: dict[str, Any]) -> Treatment:
    made = remake(spec)
    made.where = spec.get("where", made.where)
    return made


def _proof(outcome: Outcome, best: Result | None, ahead: int) -> str:
    said = f"proved on copies after {best.steps if best else 0} steps"
    if outcome.flow is not None and all(map(math.isfinite, outcome.flow)):
        said += f": {outcome.flow[0]:.1f} -> {outcome.flow[1]:.1f} decades lost"
    others = len(outcome.results) - 1
    said += f"; {others} {'other was' if others == 1 else 'others were'} tried" if others else ""
    return said + (f"; the fit goes on from the copy, {ahead} steps ahead" if ahead else "")


def _go_on_from(arm: Arm | None, host: Host) -> int:
    """Take over what the winner's copy has learnt; how many steps that was, 0 where it does not fit."""
    if arm is None:
        return 0
    theirs = arm.rehearsal.optimizers
    if [type(one) for one in theirs] != [type(one) for one in host.optimizers]:
        return 0
    host.model.load_state_dict(arm.rehearsal.model.state_dict())
    for mine, other in zip(host.optimizers, theirs, strict=True):
        rates = [group["lr"] for group in mine.param_groups if "lr" in group]
        mine.load_state_dict(other.state_dict())
        for group, rate in zip([group for group in mine.param_groups if "lr" in group], rates, strict=True):
            group["lr"] = rate
    return len(arm.losses)


def _bytes(batch: Any) -> int:
    """What the tensors of a batch take."""
    if isinstance(batch, Tensor):
        return batch.numel() * batch.element_size()
    if isinstance(batch, dict):
        return sum(map(_bytes, batch.values()))
    return sum(map(_bytes, batch)) if isinstance(batch, (list, tuple)) else 0
