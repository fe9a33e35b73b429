"""The symptom of a gradient that its number format ends, although the network loses little of it.

A detector's part: the same gradient in another format, or scaled up, would arrive.
"""

from __future__ import annotations

import math

from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Frame, Kind, Ledger, Quantity, Severity
from lightning_gradwatch.records.flow import flow_by_layer
from lightning_gradwatch.records.formats import FormatEnd, zero_share
from lightning_gradwatch.records.history import History


def exhausted(frame: Frame, history: History, ledger: Ledger, end: FormatEnd) -> Symptom:
    """Present where nothing is left, where all that is left lies below the smallest number, or parameters get nothing.

    Some zeros among small numbers are no alarm.

    Args:
        frame: the measured step.
        history: what the frames before told.
        ledger: the ledger whose gradient ends.
        end: where, and in which format.
    """
    starved = [r for r in frame.parameters if r.norm == 0 and r.name not in history.fed and not r.name.endswith("bias")]
    layers = _layers(ledger, end)
    return Symptom(
        id=f"vanishing:{ledger.name}",
        kind=Kind.VANISHING,
        present=end.is_zero or end.best <= 0 or bool(starved),
        lingers=True,
        severity=_severity(end, history.learns),
        summary=_summary(end, layers),
        layers=layers,
        evidence=(
            Quantity(name="decades lost", value=end.lost, unit="decades"),
            Quantity(name="layers on the way", value=float(len(flow_by_layer(ledger))), unit="layers"),
            Quantity(name=f"smallest number of {end.dtype}", value=10**end.smallest),
            Quantity(name="gradient that enters, an element", value=10**end.entered),
            Quantity(name="zeros", value=zero_share(frame), unit="of the gradients' elements"),
            Quantity(name="loss scale", value=ledger.scale),
        ),
        stills=True,
    )


def _layers(ledger: Ledger, end: FormatEnd) -> tuple[str, ...]:
    """Deepest first: those that get nothing, or all of them where none gets anything worth the name."""
    flow = flow_by_layer(ledger)
    nothing = [layer for layer, level in flow.items() if level == -math.inf]
    return tuple(reversed(nothing or list(flow)))


def _severity(end: FormatEnd, learns: bool) -> Severity:
    if learns:
        return Severity.INFO
    return Severity.CRITICAL if end.is_zero else Severity.WARNING


def _summary(end: FormatEnd, layers: tuple[str, ...]) -> str:
    gets = f"{layers[0]} gets nothing" if end.is_zero else "most of the gradient is rounded to zero"
    size = f"10^{end.entered:.1f} an element"
    where = "is down to {0} in the loss already" if end.in_loss else "enters the network at {0}"
    return f"{gets}: {end.dtype} ends at {10**end.smallest:.0e}, and the gradient {where.format(size)}"
