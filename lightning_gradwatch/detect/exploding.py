"""Exploding gradients: growth along the ledger, and growth over a fit against its own baseline."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom, known
from lightning_gradwatch.records import Frame, Kind, Ledger, Quantity, Severity
from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.records.history import History, Moment
from lightning_gradwatch.records.names import layers_of
from lightning_gradwatch.records.threshold import Threshold

# Decades above the head, along depth: as many as below it count as vanishing.
ENTER = 4.0
LEAVE = 2.5
# Fifty layers with batch normalisation and no skip connection begin at 4.4, and need not fail: below this the loss has
# to tell.
CERTAIN = 6.0
CRITICAL = 8.0
# Decades above the run's own baseline, the lower quartile of its gradient norms so far.  Ordinary noise of batches
# stays within one; fits that have converged swing by two from an easy batch to a hard one, but their losses do not.
SPIKE = 2.0
SUBSIDED = 1.0
# What a run has to show before it can be compared with itself.
_BASELINE = 4
# A step that changes weights by half of themselves is no step of learning.
BOLD = 0.5
# After a switch of the loss, gradient and loss jump too, and then the loss falls: by a tenth within these steps.
_FALLS = 0.9


class ExplodingAlongDepth:
    """Names the layers that get far more gradient than the head."""

    kind: ClassVar[Kind] = Kind.EXPLODING
    patience: ClassVar[int] = 3
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="opens at", value=ENTER, unit="decades above the head", why="as many as below it count as vanishing"
        ),
        Threshold(name="stays open down to", value=LEAVE, unit="decades above the head", why="as for vanishing"),
        Threshold(name="certain at", value=CERTAIN, unit="decades above the head", why="below it the loss has to tell"),
        Threshold(name="critical at", value=CRITICAL, unit="decades above the head", why="twice what opens it"),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom for each ledger."""
        if frame.skipped:
            return
        for ledger in frame.ledgers:
            flow = {layer: level for layer, level in flow_in(frame, ledger).items() if math.isfinite(level)}
            if flow:
                yield _along(ledger, flow, history)


def _along(ledger: Ledger, flow: dict[str, float], history: History) -> Symptom:
    grown = max(flow.values())
    layers = tuple(sorted((name for name in flow if flow[name] >= LEAVE), key=flow.__getitem__, reverse=True))
    worst = layers[0] if layers else ledger.target_layer
    return Symptom(
        id=f"exploding:{ledger.name}",
        kind=Kind.EXPLODING,
        present=grown >= ENTER,
        lingers=grown >= LEAVE,
        severity=_severity_along(grown, history),
        summary=f"{worst} gets 10^{grown:.1f} times the gradient that the head gets",
        layers=layers,
        evidence=(
            Quantity(name="decades grown", value=grown, unit="decades"),
            Quantity(name="layers on the way", value=float(len(flow)), unit="layers"),
            *known("drop of the loss so far", history.progress, "of its start"),
        ),
    )


def _severity_along(grown: float, history: History) -> Severity:
    if history.learns or (grown < CERTAIN and not history.flat):
        return Severity.INFO
    return Severity.CRITICAL if grown >= CRITICAL else Severity.WARNING


class ExplodingOverTime:
    """Tells a gradient that leaves its own baseline and takes the loss with it from one odd batch."""

    kind: ClassVar[Kind] = Kind.EXPLODING
    patience: ClassVar[int] = 2
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="opens at",
            value=SPIKE,
            unit="decades above the run's lower quartile",
            why="noise of batches stays within one: own fits",
        ),
        Threshold(
            name="stays open down to",
            value=SUBSIDED,
            unit="decades above the run's lower quartile",
            why="noise of batches stays within one: own fits",
        ),
        Threshold(name="baseline", value=_BASELINE, unit="measured steps", why="fewer cannot be compared with"),
        Threshold(
            name="bold step",
            value=BOLD,
            unit="||dw|| / ||w||",
            why="a step that changes weights by half of themselves is no step of learning",
        ),
        Threshold(
            name="loss falls to", value=_FALLS, unit="of what it was", why="after a switch of the loss it falls again"
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom a frame, once there is a baseline."""
        moments = history.moments
        if frame.skipped or len(moments) <= _BASELINE or not moments or moments[-1].step != frame.step:
            return
        now, before = moments[-1], moments[:-1]
        base = _quartile([m.norm for m in before])
        rise = now.norm - base
        if not math.isfinite(rise):
            return
        worse = rise >= SUBSIDED and _is_worse(now, before)
        if not worse:
            yield Symptom(id="exploding", kind=Kind.EXPLODING, present=False, lingers=False)
            return
        bold = max((r.update or 0.0 for r in frame.parameters if r.fan > 1), default=0.0)
        falls = _falls(moments, base)
        yield Symptom(
            id="exploding",
            kind=Kind.EXPLODING,
            present=rise >= SPIKE and (bold >= BOLD or not falls),
            lingers=True,
            severity=Severity.WARNING if not falls or bold >= BOLD else Severity.INFO,
            summary=f"the gradient is 10^{rise:.1f} times what it was, and the loss has risen to {now.loss:.3g}",
            layers=_largest(frame),
            evidence=(
                Quantity(name="rise of the gradient norm over its baseline", value=rise, unit="decades"),
                Quantity(name="gradient norm", value=10**now.norm if now.norm < 300 else math.inf),
                Quantity(name="loss", value=now.loss),
                Quantity(name="largest update beside its weights", value=bold, unit="ratio"),
            ),
        )


def _quartile(values: list[float]) -> float:
    finite = sorted(value for value in values if math.isfinite(value))
    return finite[len(finite) // 4] if finite else math.nan


def _is_worse(now: Moment, before: list[Moment]) -> bool:
    """Whether the loss has given back half of what it had gained, or stands above where it began."""
    losses = [moment.loss for moment in before if math.isfinite(moment.loss)]
    if not losses or math.isnan(now.loss):
        return True  # nobody knows
    start, good = losses[0], _quartile(losses)
    return now.loss > max(good, good + 0.5 * (start - good)) and now.loss > good + 0.5 * abs(good)


def _falls(moments: list[Moment], base: float) -> bool:
    """Whether the loss has been falling ever since the gradient rose: it was another loss that came, or other data."""
    risen: list[float] = []
    for moment in reversed(moments):
        if not moment.norm >= base + SUBSIDED:
            break
        risen.append(moment.loss)
    if len(risen) < 4:
        return False
    half = len(risen) // 2
    return statistics.median(risen[:half]) < _FALLS * statistics.median(risen[half:])


def _largest(frame: Frame) -> tuple[str, ...]:
    """The layers with the largest gradients, largest first."""
    sized = sorted(((r.rms or 0.0, r.name) for r in frame.parameters if r.rms is not None and r.fan > 1), reverse=True)
    top = sized[0][0] if sized else 0.0
    return layers_of(name for rms, name in sized if rms >= top / 10)
