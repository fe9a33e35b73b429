"""``on_vanishing="heal"``: tries remedies on copies of the running fit, and gives the fit what is proved to help."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lightning_gradwatch.anatomy import inspect_model
from lightning_gradwatch.callbacks.carrying import carried, go_on_from, hand_over
from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.records import Event, Finding, Frame
from lightning_gradwatch.remedies.applied import Applied
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.registry import remake
from lightning_gradwatch.remedies.surgery.editable import obstacle
from lightning_gradwatch.remedies.surgery.ground import own_ground, secluded
from lightning_gradwatch.remedies.surgery.operation import operate_all
from lightning_gradwatch.remedies.surgery.source import patch
from lightning_gradwatch.remedies.treatment import Treatment
from lightning_gradwatch.verify.arm import Origin, copied
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
    finding: Finding
    step: int
    batches: list[Any]
    room: float  # steps that may be spent


@dataclass(frozen=True)
class _Plan:
    """What rank 0 has all ranks do."""

    spent: float = 0.0  # steps
    best: list[tuple[str, dict[str, Any]]] | None = None  # treatments as people read them, and as data
    tried: list[str] = field(default_factory=list)
    event: Event | None = None  # where none is best


@dataclass(frozen=True)
class _Found:
    """What the search has found; nothing on other ranks than 0."""

    outcome: Outcome = field(default_factory=Outcome)
    plan: _Plan = field(default_factory=_Plan)
    known: dict[str, Treatment] = field(default_factory=dict)


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
    running: list[dict[str, Any]] = field(default_factory=list)  # what those know of it that act at every step
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

    def act(self, host: Host, casebook: Casebook, finding: Finding, step: int) -> Event | None:
        """Look for a cure of the finding and carry it out; what was done, None: there is no data to try it on yet.

        All ranks come here together.  Rank 0 tries; they all do, and tell, what it has found best.
        """
        room = SHARE * (min(MOST, (self.budget - 1) * host.planned_steps) - self.spent)
        batches = self._batches(host, room)
        if host.any_rank(len(batches) < LEAST):
            return None
        attempt = _Attempt(host, finding, step, batches, room)
        found = self._search(attempt, casebook) if host.leads else _Found()
        plan = host.from_rank_zero(found.plan)
        self.spent += plan.spent
        if plan.best is None:
            self.tried += plan.tried
            return plan.event
        return self._treat(attempt, found, plan)

    def _search(self, attempt: _Attempt, casebook: Casebook) -> _Found:
        """On this rank alone."""
        tries, outcome, why = [], Outcome(), ""
        try:
            tries, why = self._candidates(attempt, casebook)
            outcome = self._contest(attempt, tries, casebook.last_frame)
        except Exception as error:  # training_step asks for what only a Trainer has, or the network cannot be copied
            why = f"the fit could not be copied: {type(error).__name__}: {error}"
        told = [_tried(attempt.finding, result.candidate) for result in outcome.results]
        best = None if outcome.best is None else [(repr(one), one.spec()) for one in outcome.best]
        plan = _Plan(outcome.spent, best, told, _none(attempt, outcome, why) if best is None else None)
        return _Found(outcome, plan, {repr(one): one for candidate in tries for one in candidate})

    def _batches(self, host: Host, room: float) -> list[Any]:
        """Batches to try remedies on, each for one step if there are so many; none where they cannot be read."""
        fresh_ones: list[Any] = []
        size = 0
        with own_ground(self.seed), suppress(Exception):  # the user's own code; the other ranks wait for this one
            for batch in host.fresh_batches():
                if len(fresh_ones) >= max(LEAST, room) or size > _BYTES:
                    break
                fresh_ones.append(fresh(batch))
                size += _bytes(batch)
        return fresh_ones if len(fresh_ones) >= LEAST else [*fresh_ones, *self.batches]

    def _candidates(self, attempt: _Attempt, casebook: Casebook) -> tuple[list[Candidate], str]:
        host, finding = attempt.host, attempt.finding
        if hindered := obstacle(host.model) or host.hindrance:
            return [], hindered
        case = Case(
            finding=finding,
            anatomy=casebook.anatomy,
            model=host.model,
            optimizers=host.optimizers,
            is_young=attempt.step <= max(FEW, YOUNG * min(host.planned_steps, 1e9)),
        )
        untried = [one for one in candidates(case, self.allowed) if _tried(finding, one) not in self.tried]
        if holder := host.holds_copy:
            untried = [one for one in untried if not any(treatment.structural for treatment in one)]
            return untried, "" if untried else f"{holder} holds a copy of the network, which has to have the same parts"
        return untried, "" if untried else "no remedy that can be carried out is left for it"

    def _contest(self, attempt: _Attempt, tries: Sequence[Candidate], previous: Frame | None) -> Outcome:
        host, finding = attempt.host, attempt.finding
        with own_ground(self.seed), secluded():
            origin = Origin(
                copy=lambda: copied(host.model, host.optimizers),
                objective=None,
                batches=attempt.batches,
                seed=self.seed,
                midway=Midway(optimizers=(), **host.midway()),
                previous=previous,
            )
            # A copy's steps make up for those that the fit has lost; ranks would come to different weights.
            lost = 1 + attempt.step - finding.first_step if host.is_alone else 0
            return Contest(origin, finding, attempt.room).run(tries, lost)

    # --- treating -----------------------------------------------------------------------------------------------------

    def _treat(self, attempt: _Attempt, found: _Found, plan: _Plan) -> Event:
        """On all ranks, or on none."""
        host = attempt.host
        applied, advice, why = None, "", ""
        try:
            treatments = [found.known.get(told) or self._made(spec) for told, spec in plan.best or ()]
            advice = _advice(treatments, host.model)
            applied = operate_all(treatments, host.model, host.optimizers, lambda: iter(attempt.batches))
        except Exception as error:  # it worked on a copy
            names = " + ".join(told for told, _ in plan.best or ())
            why = f"{names} could not be carried out: {type(error).__name__}: {error}"
        if host.any_rank(applied is None):
            if applied is not None:
                applied.undo()
            self.tried += plan.tried
            return host.from_rank_zero(_no_cure(attempt, why or "a treatment could not be carried out on another rank"))
        assert applied is not None
        if self.applied is not None:
            self.applied.keep()
        self.applied, outcome = applied, found.outcome
        ahead = go_on_from(outcome.arm, host) if host.is_alone else 0
        host.edited()
        self.treated += applied.spec["treatments"]
        best = next((r for r in outcome.results if r.candidate == outcome.best), None)
        event = Event(
            step=attempt.step,
            action="treat",
            finding=attempt.finding.id,
            reason=_proof(outcome, best, ahead),
            old=(outcome.untreated,),
            new=(best.loss if best else math.nan,),
            treatment=applied.treatment,
            did=(*applied.did, *applied.left),
            patch=advice,
        )
        return host.from_rank_zero(event)

    @property
    def can_take_back(self) -> bool:
        """Whether the last treatment can be undone: not any more in a fit that was resumed."""
        return self.applied is not None and self.applied.can_undo

    def take_back(self, host: Host, event: Event, step: int) -> Event:
        """Undo a treatment that made things worse."""
        assert self.applied is not None
        count = len(self.applied.spec["treatments"])
        self.applied.undo()
        host.edited()
        self.applied, self.treated = None, self.treated[:-count]
        why = f"it did harm: {event.effect_sentence}"
        undone = Event(step=step, action="undo_treat", finding=event.finding, reason=why, treatment=event.treatment)
        return host.from_rank_zero(undone)

    # --- what outlives a process --------------------------------------------------------------------------------------

    def state(self, optimizers: Sequence[Any] | None) -> dict[str, Any]:
        """As JSON data.

        Args:
            optimizers: of the fit; None: it has ended.
        """
        if optimizers is not None:
            told = {repr(self._made(spec)) for spec in self.treated}
            self.running = carried(optimizers, told) if told else []
        return {"spent": self.spent, "treated": self.treated, "tried": self.tried, "running": self.running}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.spent, self.treated = float(state.get("spent", 0.0)), list(state.get("treated", ()))
        self.tried, self.running = list(state.get("tried", ())), list(state.get("running", ()))

    def _made(self, spec: dict[str, Any]) -> Treatment:
        """A treatment from its data, also one of the user's own that was allowed."""
        own = {one.name: type(one) for one in self.allowed or () if isinstance(one, Treatment)}
        kind = own.get(str(spec.get("remedy")))
        made = remake(spec) if kind is None else kind(**spec["arguments"])
        made.where = spec.get("where", made.where)
        return made

    def treat_again(self, model: nn.Module, specs: Sequence[dict[str, Any]]) -> None:
        """What a network needs before the weights of a treated one are loaded."""
        operate_all([self._made(spec) for spec in specs], model, (), undoable=False)

    def treat_optimizers_again(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        """What optimizers need before the state of treated ones is loaded."""
        treatments = [self._made(spec) for spec in self.treated]
        operate_all([one for one in treatments if one.moment is Moment.FIT], model, optimizers, undoable=False)
        hand_over(optimizers, self.running)


def renew(casebook: Casebook, model: nn.Module) -> None:
    """The network is another one."""
    casebook.judge.begin_anew(casebook.last_step)
    casebook.anatomy = inspect_model(model)


def _tried(finding: Finding, candidate: Candidate) -> str:
    return f"{finding.kind}: {' + '.join(map(repr, candidate))}"


def _none(attempt: _Attempt, outcome: Outcome, why: str) -> Event:
    told = "; ".join(f"{result.name}: {result.why or f'loss {result.loss:.3g}'}" for result in outcome.results)
    beside = f" beside {outcome.untreated:.3g} untreated" if math.isfinite(outcome.untreated) else ""
    few = f"{max(0, int(attempt.room))} steps are left for trials, which is too few"
    return _no_cure(attempt, why or (f"none of these did better on copies{beside}: {told}" if told else few))


def _advice(treatments: Sequence[Treatment], model: nn.Module) -> str:
    """What to write into the network's own source, of each treatment as the ones before it leave the network."""
    if len(treatments) == 1:
        return patch(treatments[0], model)
    twin, told = copied(model, ())[0], []
    for one in treatments:
        told.append(patch(one, twin))
        if one.moment is Moment.SETUP:
            operate_all([one], twin, (), undoable=False)
    return "\n\n".join(told)


def _no_cure(attempt: _Attempt, reason: str) -> Event:
    return Event(step=attempt.step, action="no_cure", finding=attempt.finding.id, reason=reason)


def _proof(outcome: Outcome, best: Result | None, ahead: int) -> str:
    said = f"proved on copies after {best.steps if best else 0} steps"
    if outcome.flow is not None and all(map(math.isfinite, outcome.flow)):
        said += f": {outcome.flow[0]:.1f} -> {outcome.flow[1]:.1f} decades lost"
    others = len(outcome.results) - 1
    said += f"; {others} {'other was' if others == 1 else 'others were'} tried" if others else ""
    return said + (f"; the fit goes on from the copy, {ahead} steps ahead" if ahead else "")


def _bytes(batch: Any) -> int:
    """What the tensors of a batch take."""
    if isinstance(batch, Tensor):
        return batch.numel() * batch.element_size()
    if isinstance(batch, dict):
        return sum(map(_bytes, batch.values()))
    return sum(map(_bytes, batch)) if isinstance(batch, (list, tuple)) else 0
