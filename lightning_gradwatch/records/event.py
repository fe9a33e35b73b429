"""What was done to a fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Event:
    """One action that the watch took, with the value before and after it."""

    step: int
    action: str  # "decay_lr", "undo_decay_lr", "stop"; "treat", "no_cure", "undo_treat"
    finding: str  # id of the finding that caused it
    reason: str  # one sentence
    old: tuple[float, ...] = ()  # e.g. the learning rates before
    new: tuple[float, ...] = ()  # ... and after
    effect: str | None = None  # "better", "same", "worse" once it was followed up
    effect_sentence: str | None = None
    treatment: str | None = None  # as people read it: "ReplaceActivation('relu') + Initialize()"
    did: tuple[str, ...] = ()  # what it changed, a sentence each
    patch: str | None = None  # the same for the user's own source
