"""Asks of an action, some steps later, whether the fit is better for it.

Compares the measured steps before the action with those after it, by medians: the flow to the most starved layer, and
the level of the loss against its own noise.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lightning_gradwatch.records import Event, Finding, Frame, Ledger
from lightning_gradwatch.records.flow import flow_by_layer

# Changes of the flow below this many decades are within what batches differ by.
_DECADES = 0.5
# Frames on each side of the action that are compared: few enough to be near it, enough for a median.
_LEAST, _MOST = 2, 8


@dataclass(frozen=True, kw_only=True)
class _Shift:
    """The medians of one quantity before and after, and the noise they are to be read against."""

    before: float
    after: float
    noise: float

    @property
    def rise(self) -> int:
        """1 up, -1 down, 0 within the noise."""
        change = self.after - self.before
        return 0 if abs(change) <= self.noise else 1 if change > 0 else -1


def follow_up(event: Event, finding: Finding | None, frames: Sequence[Frame], wait: int) -> Event | None:
    """The event with its effect; None while it is too early to say.

    Args:
        event: what was done.
        finding: what it was done about; None where that is not known.
        frames: the measured steps, in order.
        wait: steps after the event before its effect is asked for.

    Example:
        >>> follow_up(Event(step=0, action="decay_lr", finding="", reason=""), None, (), wait=50) is None
        True
    """
    if not frames or frames[-1].step < event.step + wait:
        return None
    before = [frame for frame in frames if frame.step <= event.step][-_MOST:]
    after = [frame for frame in frames if frame.step > event.step][-_MOST:]
    if len(before) < _LEAST or len(after) < _LEAST:
        return None
    name = "" if finding is None else finding.id.partition(":")[2]
    flow = _shift(before, after, lambda frame: _flow(frame, name), _DECADES)
    loss = _shift(before, after, lambda frame: frame.loss, 0.0)
    effect = _effect(flow, loss)
    return replace(event, effect=effect, effect_sentence=_sentence(effect, flow, loss))


def _shift(
    before: Sequence[Frame], after: Sequence[Frame], read: Callable[[Frame], float | None], least: float
) -> _Shift | None:
    old = [value for value in map(read, before) if value is not None]
    new = [value for value in map(read, after) if value is not None]
    if not old or not new:
        return None
    return _Shift(
        before=statistics.median(old), after=statistics.median(new), noise=max(least, _spread(old), _spread(new))
    )


def _spread(values: Sequence[float]) -> float:
    """Median distance from the median, scaled to a normal distribution's standard deviation."""
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(value - middle) for value in values)


def _flow(frame: Frame, name: str) -> float | None:
    """Decades at the most starved layer, of the ledger of that name, or else the first."""
    ledger: Ledger | None = next((led for led in frame.ledgers if led.name == name), next(iter(frame.ledgers), None))
    return None if ledger is None else min(flow_by_layer(ledger).values())


def _effect(flow: _Shift | None, loss: _Shift | None) -> str:
    """The flow is what was to be cured; the loss decides where the flow stands still."""
    votes = [shift for shift in (flow.rise if flow else 0, -loss.rise if loss else 0) if shift]
    return "same" if not votes else "better" if votes[0] > 0 else "worse"


def _sentence(effect: str, flow: _Shift | None, loss: _Shift | None) -> str:
    parts = []
    if flow is not None:
        parts.append(f"gradient at the most starved layer 10^{flow.before:.1f} before, 10^{flow.after:.1f} after")
    if loss is not None:
        parts.append(f"loss {loss.before:.4g} before, {loss.after:.4g} after")
    said = {"better": "it helped", "same": "it changed nothing that can be told from noise", "worse": "it is worse"}[
        effect
    ]
    return f"{said}: {'; '.join(parts)}" if parts else f"{said}: nothing was measured on both sides"
