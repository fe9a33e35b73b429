"""Carries out what the policy decides, and asks later whether it helped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lightning_gradwatch.callbacks import notes
from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.callbacks.policy import UNDO, Policy
from lightning_gradwatch.records import Event, Finding
from lightning_gradwatch.remedies.rate_scale import RateScale
from lightning_gradwatch.verify import follow_up
from lightning_gradwatch.verify.casebook import Casebook

# Steps after an action before its effect is asked for.
_WAIT = 50
# Events that have no effect of their own, and those that take earlier ones back.
_WITHOUT, _BACK = ("no_cure", "undo_treat"), (UNDO, "undo_treat")


@dataclass
class Actor:
    """The hands of the watch."""

    policy: Policy
    rates: RateScale

    def attach(self, host: Host) -> list[str]:
        """Reach the optimizers that the fit has now; a sentence for each that cannot be reached.

        Not while the trainer has put the watch aside to search for a learning rate.
        """
        reached = [one for one in host.optimizers if hasattr(one, "register_step_pre_hook")]
        self.rates.attach(reached, lambda: not host.is_searching)
        return [notes.no_step_hooks(type(one).__name__) for one in host.optimizers if one not in reached]

    def wants(self, casebook: Casebook, step: int) -> Finding | None:
        """The finding that this rank would act on now, at a step that moved weights."""
        return self.policy.action(step, casebook.judge.findings, casebook.events)

    def act(
        self, host: Host, casebook: Casebook, step: int, wanted: Finding | None, agree: Callable[[bool], bool]
    ) -> Event | None:
        """Do what any rank wants done now, on all ranks alike; what was done.

        Args:
            host: who trains.
            casebook: what is known of the fit.
            step: the step at hand.
            wanted: what this rank would act on.
            agree: whether any rank decided so; all of them come here on the same steps.
        """
        if not agree(wanted is not None):
            return None
        event = self._stop(host, wanted, step) if self.policy.on_vanishing == "stop" else self._decay(wanted, step)
        if event is not None:
            casebook.events.append(event)
        return event

    def follow_up(self, casebook: Casebook) -> list[Event]:
        """The actions whose effect can be told now, with their effect; the casebook keeps them so."""
        known = {finding.id: finding for finding in casebook.judge.findings}
        told = []
        for i, event in enumerate(casebook.events):
            if event.effect or event.action in _WITHOUT or any(one.action in _BACK for one in casebook.events[i:]):
                continue  # told already, has none, or was taken back
            followed = follow_up(event, known.get(event.finding), casebook.pulses, _WAIT)
            if followed is not None:
                casebook.events[i] = followed
                told.append(followed)
        return told

    def undo(self, casebook: Casebook) -> Event | None:
        """Take every change of the learning rates back, exactly; what was done, None where there was none."""
        if self.rates.factor == 1:
            return None
        last = next((event for event in reversed(casebook.events) if event.action == "decay_lr"), None)
        finding = "" if last is None else last.finding
        old, new = self.rates.set(1.0)
        event = Event(
            step=casebook.last_step, action=UNDO, finding=finding, reason="undo() was called", old=old, new=new
        )
        casebook.events.append(event)
        return event

    def _stop(self, host: Host, finding: Finding | None, step: int) -> Event:
        host.stop()
        return Event(step=step, action="stop", finding=_id(finding), reason=_reason(finding))

    def _decay(self, finding: Finding | None, step: int) -> Event | None:
        factor = self.rates.factor
        old, new = self.rates.scale(self.policy.decay_factor)
        if old == new:  # all of them at min_lr already: what changes nothing now must not add up for later
            self.rates.set(factor)
            return None
        return Event(step=step, action="decay_lr", finding=_id(finding), reason=_reason(finding), old=old, new=new)


def _id(finding: Finding | None) -> str:
    return "" if finding is None else finding.id


def _reason(finding: Finding | None) -> str:
    return "another rank found a vanishing gradient" if finding is None else finding.summary
