"""What was done to a fit, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_gradwatch.records import Event, Kind
from lightning_gradwatch.report import words

_ACTIONS = {
    "decay_lr": "learning rate",
    "undo_decay_lr": "learning rate back",
    "stop": "stopped the fit",
    "treat": "treated with {treatment}, loss ahead",
    "no_cure": "left as it is",
    "undo_treat": "took back {treatment}",
}
_MOST = 3  # different changes told; a network with a rate for each layer has hundreds


def event_line(event: Event) -> str:
    """What was done, with the values before and after, and what came of it.

    Example:
        >>> event_line(Event(step=12, action="decay_lr", finding="vanishing:loss", reason="the gradient vanishes",
        ...     old=(0.01,), new=(0.005,), effect="same"))
        'step 12: learning rate 0.01 -> 0.005 (the gradient vanishes). Since then: same.'
    """
    action = _ACTIONS.get(event.action, event.action.replace("_", " "))
    action = action.replace("{treatment}", event.treatment or "a treatment")
    effect = f" Since then: {(event.effect_sentence or event.effect or '').rstrip('.')}." if event.effect else ""
    return words.plain(f"step {event.step}: {action}{_changes(event)} ({event.reason.rstrip('.')}).{effect}")


def _changes(event: Event) -> str:
    changes = list(dict.fromkeys(f"{old:.3g} -> {new:.3g}" for old, new in zip(event.old, event.new, strict=False)))
    told = ", ".join(changes[:_MOST])
    others = f" and {len(changes) - _MOST} more" if len(changes) > _MOST else ""
    return f" {told}{others}" if told else ""


def standing(events: Sequence[Event]) -> list[Event]:
    """The treatments that were not taken back.

    Example:
        >>> treat = Event(step=3, action="treat", finding="", reason="", treatment="Initialize()")
        >>> len(standing([treat])), len(standing([treat, Event(step=9, action="undo_treat", finding="", reason="")]))
        (1, 0)
    """
    stands: list[Event] = []
    for event in events:
        if event.action == "treat":
            stands.append(event)
        elif event.action == "undo_treat" and stands:
            stands.pop()
    return stands


def caveat(kind: Kind, event: Event) -> str:
    """What an action cannot do: a smaller learning rate repairs no path."""
    if event.action == "decay_lr" and kind in (Kind.VANISHING, Kind.DISCONNECTED, Kind.DEAD_UNITS):
        return "Decay steadies a fit; it does not repair a dead gradient path."
    return ""
