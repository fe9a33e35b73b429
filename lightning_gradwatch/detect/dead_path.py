"""Dead paths: parameters that want a gradient and never get one, and gradients that are exactly zero.

Vanished is small; this is nothing at all.  The two have different causes and must never be confused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.saturation import SATURATING as BOUNDED
from lightning_gradwatch.detect.spare import is_spare
from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.detect.vanishing import underflows
from lightning_gradwatch.records import Frame, Kind, Ledger, ParameterReading, Quantity, Segment, Severity
from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.records.formats import format_end
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.names import layers_of, module_of
from lightning_gradwatch.records.threshold import Threshold

# Less than this share of the network's elements without a gradient is said, not rung: spare heads, unused experts.
_MANY = 0.1
# Layers that are dropped at random (stochastic depth) miss a few steps in a row, not so many.
_RARE = 6
# Share of dead units that cuts the path.
_ALL = 0.999


class DeadPath:
    """Names what gets no gradient: cut off from the loss, or behind units that are all dead."""

    kind: ClassVar[Kind] = Kind.DISCONNECTED
    patience: ClassVar[int] = 5  # zero-initialised gates and heads wake up within a step or two
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="many",
            value=_MANY,
            unit="of the network's elements",
            why="fewer without a gradient are spare heads and idle experts: an information",
        ),
        Threshold(name="rare", value=_RARE, unit="steps in a row", why="layers dropped at random do not miss so many"),
        Threshold(
            name="cut off at", value=_ALL, unit="of a layer's units", why="nothing passes a layer without a living unit"
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """A symptom for parameters without a gradient, one for gradients that are exactly zero."""
        some = any(r.norm for r in frame.parameters)
        dead = any(ledger.end == -math.inf for ledger in frame.ledgers)
        if frame.skipped or not (some or dead):
            return  # training_step returned None, or nothing was measured
        yield _unreached([r for r in frame.parameters if r.norm is None and _is_cut_off(r.name, history)], frame)
        killers = [killer for ledger in frame.ledgers if (killer := _killer(ledger)) is not None]
        # Units may die late; without a dead layer before it, only a gradient that never was anything is a dead path.
        zeros = [r for r in frame.parameters if r.norm == 0 and r.size and (killers or r.name not in history.fed)]
        if zeros and not killers and any(_is_used_up(frame, ledger) for ledger in frame.ledgers):
            return  # the number format had nothing left: another detector says so
        yield _zeroed(_without_idle_biases(zeros, frame), frame, killers)


def _is_cut_off(name: str, history: History) -> bool:
    return name not in history.fed or history.unfed.get(name, 0) >= _RARE


def _is_used_up(frame: Frame, ledger: Ledger) -> bool:
    return underflows(ledger, flow_in(frame, ledger)) or format_end(ledger) is not None


def _unreached(silent: list[ParameterReading], frame: Frame) -> Symptom:
    return Symptom(
        id="disconnected",
        kind=Kind.DISCONNECTED,
        present=bool(silent),
        lingers=bool(silent),
        severity=_severity(silent, frame),
        summary=f"{len(silent)} parameters require a gradient and get none",
        layers=layers_of(r.name for r in silent),
        evidence=_evidence(silent, frame),
    )


def _zeroed(zeros: list[ParameterReading], frame: Frame, killers: list[Segment]) -> Symptom:
    flat = any(item.name in BOUNDED for killer in killers if killer.slope == 0.0 for item in killer.operations)
    how = "which is at its flat ends" if flat else "whose units are all zero"
    behind = f"behind {killers[0].layer}, {how}, " if killers else ""
    kind = Kind.SATURATION if flat else Kind.DEAD_UNITS
    return Symptom(
        id=str(kind) if killers else "zero",  # the same sickness as one layer's units that are silent, or flat
        kind=kind if killers else Kind.DISCONNECTED,
        present=bool(zeros),
        lingers=bool(zeros),
        severity=Severity.CRITICAL if killers else _severity(zeros, frame),
        summary=f"{behind}the gradient of {len(zeros)} parameters is exactly zero",
        layers=tuple(dict.fromkeys([*(killer.layer for killer in killers), *layers_of(r.name for r in zeros)])),
        evidence=_evidence(zeros, frame),
    )


def _without_idle_biases(zeros: list[ParameterReading], frame: Frame) -> list[ParameterReading]:
    """Leave out biases of layers whose weights are fed: they cancel out, before a normalisation or in a difference."""
    fed = {module_of(r.name) for r in frame.parameters if r.norm}
    return [
        r for r in zeros if not ("bias" in r.name.rpartition(".")[2] and module_of(r.name) in fed)
    ]  # "bias_orig": pruned


def _killer(ledger: Ledger) -> Segment | None:
    """The activation that lets nothing through, if the ledger ends in exact zero because of one.

    Of several the deepest: what lies behind a dead layer gets a constant input and often dies of it.
    """
    if ledger.end != -math.inf:
        return None
    dead = [s for s in ledger.segments if (s.dead or 0.0) >= _ALL or s.slope == 0.0]
    return dead[-1] if dead else None


def _severity(silent: list[ParameterReading], frame: Frame) -> Severity:
    whole = sum(r.size for r in frame.parameters)
    missed = [r for r in silent if not is_spare(r, frame)]
    return Severity.WARNING if whole and sum(r.size for r in missed) / whole >= _MANY else Severity.INFO


def _evidence(silent: list[ParameterReading], frame: Frame) -> tuple[Quantity, ...]:
    whole = sum(r.size for r in frame.parameters) or 1
    return (
        Quantity(name="parameters without a gradient", value=float(len(silent)), unit="tensors"),
        Quantity(name="share of the network", value=sum(r.size for r in silent) / whole, unit="of all elements"),
    )
