"""``on_vanishing="heal"``: tries remedies on copies of the running fit, and gives the fit what is proved to help."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

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
from lightning_gradwatch.verify.arm import Origin, copied
from lightning_gradwatch.verify.batches import fresh
from lightning_gradwatch.verify.candidates import Candidate, candidates
from lightning_gradwatch.verify.casebook import Casebook
from lightning_gradwatch.verify.contest import Contest, Outcome

# Batches kept to try remedies on; those at the end of them are only judged by.
KEPT, HELD = 12, 3
# Fewer are too few to tell a cure from chance.
LEAST = 4
# Steps in all trials of one fit, however long it is.
MOST = 300.0
# Of what is left of the budget, a contest spends so much: a second sickness is to find something too.
SHARE = 0.7


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
        """Look for a cure of the finding and carry it out; what was done, None: there is not enough to try it on yet.

        All ranks come here together, and do what rank 0 has found best.
        """
        if host.any_rank(len(self.batches) < LEAST):
            return None
        room = SHARE * (min(MOST, (self.budget - 1) * host.planned_steps) - self.spent)
        tries, outcome, why = [], Outcome(None), ""
        try:
            if finding is not None:
                tries, why = self._candidates(host, casebook, finding)
                outcome = self._contest(host, finding, tries, room)
        except Exception as error:  # training_step asks for what only a Trainer has, or the network cannot be copied
            why = f"the fit could not be copied: {type(error).__name__}: {error}"
        self.spent += outcome.spent
        best = host.from_rank_zero(None if outcome.best is None else [(repr(one), one.spec()) for one in outcome.best])
        if best is None:
            return self._none(finding, step, outcome, why)
        known = {repr(one): one for candidate in tries for one in candidate}
        treatments = [known.get(told) or remake(spec) for told, spec in best]
        return self._treat(host, treatments, finding, step, outcome)

    def _candidates(self, host: Host, casebook: Casebook, finding: Finding) -> tuple[list[Candidate], str]:
        if hindered := obstacle(host.model):
            return [], hindered
        found = candidates(finding, casebook.anatomy, host.model, host.optimizers, self.allowed)
        fresh_ones = [one for one in found if _tried(finding, one) not in self.tried]
        return fresh_ones, "" if fresh_ones else "no remedy that can be carried out is left for it"

    def _contest(self, host: Host, finding: Finding, tries: Sequence[Candidate], room: float) -> Outcome:
        kept = list(self.batches)
        held = kept[-max(1, min(HELD, len(kept) // LEAST)) :]
        with own_ground(self.seed):
            origin = Origin(
                copy=lambda: copied(host.model, host.optimizers),
                objective=None,
                batches=kept[: -len(held)],
                held=held,
                seed=self.seed,
                step=host.global_step,
                epoch=host.epoch,
            )
            return Contest(origin, finding, room).run(tries)

    def _none(self, finding: Finding | None, step: int, outcome: Outcome, why: str) -> Event | None:
        if finding is None:
            return None
        self.tried += [_tried(finding, result.candidate) for result in outcome.results]
        told = "; ".join(f"{result.name}: {result.why or f'loss {result.loss:.3g}'}" for result in outcome.results)
        beside = f" beside {outcome.untreated:.3g} untreated" if math.isfinite(outcome.untreated) else ""
        reason = why or (f"none of these did better on copies{beside}: {told}" if told else "the budget is spent")
        return Event(step=step, action="no_cure", finding=finding.id, reason=reason)

    # --- treating -----------------------------------------------------------------------------------------------------

    def _treat(
        self, host: Host, treatments: Sequence[Treatment], finding: Finding | None, step: int, outcome: Outcome
    ) -> Event:
        if self.applied is not None:
            self.applied.keep()
        advice = "\n\n".join(patch(one, host.model) for one in treatments)
        self.applied = operate_all(treatments, host.model, host.optimizers, lambda: iter(list(self.batches)))
        host.edited()
        self.treated += self.applied.spec["treatments"]
        best = next((r for r in outcome.results if r.candidate == outcome.best), None)
        return Event(
            step=step,
            action="treat",
            finding="" if finding is None else finding.id,
            reason=_proof(outcome, best.steps if best else 0),
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


def _proof(outcome: Outcome, steps: int) -> str:
    said = f"proved on copies after {steps} steps"
    if outcome.flow is not None and all(map(math.isfinite, outcome.flow)):
        said += f": {outcome.flow[0]:.1f} -> {outcome.flow[1]:.1f} decades lost"
    others = len(outcome.results) - 1
    return said + (f"; {others} {'other was' if others == 1 else 'others were'} tried" if others else "")
