"""Measured steps made by hand."""

from __future__ import annotations

from collections.abc import Iterable

from lightning_gradwatch.records import Event, Finding, Frame, Kind, Ledger, ParameterReading, Segment, Severity
from lightning_gradwatch.records.pulse import Pulse, pulse


def ledger(decades: float, name: str = "loss") -> Ledger:
    """A head, and one layer that gets so many decades relative to the head's output."""
    head = _segment("head", ("head",), decades)
    return Ledger(name=name, target="deep.weight", target_layer="deep", segments=(head,), start=0.0, end=decades)


def _segment(layer: str, modules: tuple[str, ...], decades: float) -> Segment:
    return Segment(
        label=layer, layer=layer, modules=modules, operations=(), family="linear", decades=decades, position=0.0
    )


def frame(step, *, flow=-8.0, loss=2.3, norm=1.0, skipped=False, ledgers=None) -> Frame:
    reading = ParameterReading(name="deep.weight", size=4, optimizer=0, norm=norm, rms=None, max=None, zeros=None)
    return Frame(
        step=step,
        global_step=step,
        epoch=0,
        batch=step,
        loss=loss,
        skipped=skipped,
        ledgers=ledgers if ledgers is not None else () if flow is None else (ledger(flow),),
        parameters=() if norm is None else (reading,),
    )


def one(step, **values) -> Pulse:
    """The pulse of ``frame`` with these values."""
    return pulse(frame(step, **values))


def pulses(steps: Iterable[int], **series) -> list[Pulse]:
    """One a step; every argument of ``frame`` is a value or a function of the step."""
    return [one(s, **{k: v(s) if callable(v) else v for k, v in series.items()}) for s in steps]


def event(step=50, finding="vanishing:loss", **other) -> Event:
    return Event(step=step, action="decay_lr", finding=finding, reason="made by hand", **other)


def finding(kind: Kind = Kind.VANISHING) -> Finding:
    return Finding(
        id=f"{kind}:loss",
        kind=kind,
        severity=Severity.CRITICAL,
        summary="made by hand",
        layers=("deep",),
        first_step=0,
        last_step=50,
    )
