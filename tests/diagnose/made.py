"""Findings, networks and histories made by hand, one line each, for the tests of rules."""

from __future__ import annotations

import math
from dataclasses import replace

from lightning_gradwatch.diagnose import explain
from lightning_gradwatch.diagnose.evidence import gather
from lightning_gradwatch.diagnose.panel import rule
from lightning_gradwatch.records import (
    Anatomy,
    Finding,
    Kind,
    Layer,
    OperationReading,
    OptimizerReading,
    Severity,
)
from lightning_gradwatch.records.history import Beginning, History, Moment
from tests.reference.records import chain, reading

XAVIER = 0.125  # of a square layer of width 64: sqrt(2 / 128)


def found(kind, name=None, *layers, first=0, last=20):
    """A finding of that kind."""
    return Finding(
        id=name or str(kind),
        kind=Kind(kind),
        severity=Severity.WARNING,
        summary="made by hand",
        layers=layers or ("net.0",),
        first_step=first,
        last_step=last,
    )


def layer(name, std=XAVIER, kind="Linear", family="linear", fans=(64, 64), *, trainable=True):
    return Layer(
        name=name,
        type=kind,
        family=family,
        parameters=4096,
        trainable=trainable,
        fan_in=fans[0],
        fan_out=fans[1],
        weight_std=std,
    )


def net(depth=3, std=XAVIER, *more):
    """``depth`` square layers net.0 ... and a head."""
    return Anatomy(layers=(*(layer(f"net.{i}", std) for i in range(depth)), layer("head", std), *more))


def weight(name, size=XAVIER, norm=1.0, update=1e-3, **fields):
    """The reading of a layer's weight."""
    return reading(f"{name}.weight", norm, size=4096, update=update, weight=size, fan=64, **fields)


def op(name, operation="Tanh", slope=None, family="activation", **fields):
    return OperationReading(layer=name, operation=operation, family=family, slope=slope, units=64, **fields)


def optimizer(kind="SGD", eps=None, decay=0.0):
    return OptimizerReading(index=0, name="", norm=1.0, kind=kind, eps=eps, decay=decay)


def past(losses=(2.3,) * 8, norms=None, updates=None, boldest=(0.0, "", -1), top_rate=0.0, **beginning):
    """What a fit told so far: one measured step after another, and how it began."""
    history = History()
    for step, loss in enumerate(losses):
        norm = 0.0 if norms is None else norms[step]
        history.moments.append(Moment(step, loss, norm, 1e-3 if updates is None else updates[step]))
    history.boldest, history.top_rate = boldest, top_rate
    history.beginning = Beginning(**beginning) if beginning else None
    return history


def answer(code, finding, one, anatomy=None, history=None):
    """What one rule says: an answer, or None where it does not apply."""
    asked = rule(code)
    assert finding.kind in asked.findings
    told = asked.ask(gather(finding, one, anatomy or net(), history or past()))
    assert told is None or not told.holds or (told.sentence and told.evidence and told.weight > 0)
    return told


def causes(finding, one, anatomy=None, history=None):
    """(code -> share) of a finding, biggest first; the shares add up to 1."""
    told = explain(finding, one, anatomy or net(), history or past())
    assert not told or math.isclose(sum(cause.share for cause in told), 1.0)
    return {cause.code: cause.share for cause in told}


def given(ledger_given, *losses, **fields):
    """A chain whose target layer is given numbers of that root mean square."""
    return replace(chain(*(losses or (0.0, 0.0, 0.0)), **fields), given=ledger_given)
