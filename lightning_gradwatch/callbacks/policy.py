"""What to do about a vanishing gradient, and when: pure decisions, carried out by the callback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lightning_gradwatch import arguments
from lightning_gradwatch.records import Event, Finding, Kind

OnVanishing = Literal["warn", "decay_lr", "stop", "ignore", "heal"]
CHOICES = ("warn", "decay_lr", "stop", "ignore", "heal")
MOST_TREATMENTS = 3  # of one fit: a fourth sickness in a row is not for trials to find out
UNDO = "undo_decay_lr"  # the event of a user who took the decays back


@dataclass(frozen=True)
class Policy:
    """When to act, how often, how strongly.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> Policy("decay_lr", decay_factor=0.5, cooldown_steps=100, max_decays=3).action(0, (), ()) is None
        True
    """

    on_vanishing: OnVanishing = "warn"
    decay_factor: float = 0.5
    cooldown_steps: int = 200
    max_decays: int = 3

    def __post_init__(self) -> None:
        arguments.word("on_vanishing", self.on_vanishing, CHOICES)
        arguments.number("decay_factor", self.decay_factor, 1e-12, 1.0, "a number above 0 and below 1")
        arguments.whole("cooldown_steps", self.cooldown_steps, 0)
        arguments.whole("max_decays", self.max_decays, 1)

    @property
    def acts(self) -> bool:
        """Whether it ever does more than to speak."""
        return self.on_vanishing in ("decay_lr", "stop", "heal")

    def action(self, step: int, findings: Sequence[Finding], events: Sequence[Event]) -> Finding | None:
        """The finding to act on now; None: nothing to do, or not yet again."""
        if not self.acts:
            return None
        if self.on_vanishing == "heal":
            return self._to_heal(step, findings, events)
        done = [event for event in events if event.action == self.on_vanishing]
        most = self.max_decays if self.on_vanishing == "decay_lr" else 1
        last = max((event.step for event in events if event.action in (self.on_vanishing, UNDO)), default=None)
        if len(done) >= most or (last is not None and step - last < self.cooldown_steps):
            return None
        return next((f for f in findings if f.kind is Kind.VANISHING and f.is_alarm), None)

    def _to_heal(self, step: int, findings: Sequence[Finding], events: Sequence[Event]) -> Finding | None:
        """Any alarm, of whatever kind; one for which nothing was proved is left alone for a while."""
        if len([event for event in events if event.action == "treat"]) >= MOST_TREATMENTS:
            return None
        vain = {
            event.finding for event in events if event.action == "no_cure" and step - event.step < self.cooldown_steps
        }
        return next((finding for finding in findings if finding.is_alarm and finding.id not in vain), None)
