"""How ill a measured step is with one finding, in one number: what a trial wants to bring down."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lightning_gradwatch.records import Finding, Frame, Kind, Ledger
from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.report.words import percent

# A slope of less than this is none.
_FLAT = 1e-6


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What is measured for one finding.

    Args:
        measure: decades lost or grown, or a share of dead units; 0 is healthy, inf: nothing arrives at all, None: the
            frame does not show it.
        least: what a copy must show, so that something can come back.
        say: the change from before to after, in words.
    """

    measure: Callable[[Frame], float | None]
    least: float
    say: Callable[[float, float], str]

    def recovered(self, before: float, after: float) -> float:
        """Share of what was lost that has come back, 0..1.

        Example:
            >>> Yardstick(measure=lambda frame: None, least=1.0, say=lambda a, b: "").recovered(10.0, 2.5)
            0.75
        """
        if math.isinf(before):
            return float(math.isfinite(after))
        return 0.0 if math.isinf(after) else min(1.0, max(0.0, (before - after) / before))


def yardstick(finding: Finding) -> Yardstick | None:
    """The one that suits the finding; None: one batch cannot show it."""
    what, _, where = finding.id.partition(":")
    if what == "vanishing" and where:
        return Yardstick(measure=lambda frame: _lost(frame, finding), least=1.0, say=_come_back)
    if what == "exploding" and where:
        return Yardstick(measure=lambda frame: _grown(frame, finding), least=1.0, say=_are_gone)
    if what == "vanishing_in_time":
        return Yardstick(measure=lambda frame: _through_time(frame, where, "lost"), least=1.0, say=_come_back)
    if what == "exploding_in_time":
        return Yardstick(measure=lambda frame: _through_time(frame, where, "grown"), least=1.0, say=_are_gone)
    if finding.id == "zero":
        return Yardstick(measure=_dead_end, least=1.0, say=_come_back)
    if finding.kind is Kind.SATURATION and not where:  # the gates inside a fused layer are told by its weights
        return Yardstick(measure=lambda frame: _flatness(frame, finding), least=0.3, say=_slope_rises)
    if finding.kind is Kind.DEAD_UNITS:
        return Yardstick(measure=lambda frame: _dead(frame, finding), least=0.2, say=_units_revive)
    return None


def ledger_of(finding: Finding, frame: Frame) -> Ledger | None:
    """The ledger that the finding is about: the one its id names, else the first."""
    name, slash, _ = finding.id.partition(":")[2].partition("/")
    ledgers = frame.branches if slash else frame.ledgers
    return next((ledger for ledger in ledgers if ledger.name == name), next(iter(frame.ledgers), None))


# --- the numbers ------------------------------------------------------------------------------------------------------


def _levels(frame: Frame, finding: Finding) -> dict[str, float]:
    ledger = ledger_of(finding, frame)
    return {} if ledger is None or math.isnan(ledger.decades) else flow_in(frame, ledger)


def _lost(frame: Frame, finding: Finding) -> float | None:
    """Decades that the worst layer gets less than the head; of all layers, where an intervention took that one away."""
    levels = _levels(frame, finding)
    worst = finding.layers[0] if finding.layers else ""
    level = levels.get(worst, min(levels.values(), default=math.nan))
    return None if math.isnan(level) or level == math.inf else max(0.0, -level)


def _dead_end(frame: Frame) -> float | None:
    """Decades that the layer that gets least gets less than its head, over all losses."""
    known = [ledger for ledger in frame.ledgers if not math.isnan(ledger.decades)]
    levels = [level for ledger in known for level in flow_in(frame, ledger).values()]
    return max(0.0, -min(levels)) if levels else None


def _grown(frame: Frame, finding: Finding) -> float | None:
    levels = [level for level in _levels(frame, finding).values() if level != -math.inf]
    top = max(levels, default=math.nan)
    return None if math.isnan(top) or top == math.inf else max(0.0, top)


def _through_time(frame: Frame, where: str, what: str) -> float | None:
    profile = next((one for one in frame.times if f"{one.ledger}:{one.layer}" == where), None)
    value = math.nan if profile is None or not profile.decades else float(getattr(profile, what))
    return None if math.isnan(value) else max(0.0, value)


def _flatness(frame: Frame, finding: Finding) -> float | None:
    """Decades of slope that the flattest of the layers lacks."""
    slopes = [o.slope for o in frame.operations if o.layer in finding.layers and o.slope is not None and not o.gates]
    known = [slope for slope in slopes if math.isfinite(slope)]
    return -math.log10(min(1.0, max(_FLAT, min(known)))) if known else None


def _dead(frame: Frame, finding: Finding) -> float | None:
    """Share of units that let nothing through, over those layers."""
    known = [(o.dead, o.units) for o in frame.operations if o.layer in finding.layers and o.dead is not None]
    return sum(dead * units for dead, units in known) / max(1, sum(units for _, units in known)) if known else None


# --- the words --------------------------------------------------------------------------------------------------------


def _come_back(before: float, after: float) -> str:
    if math.isinf(before):
        return (
            "still nothing arrives"
            if math.isinf(after)
            else f"the gradient arrives, {after:.1f} decades below the head's"
        )
    if math.isinf(after):
        return f"none of {before:.1f} decades come back: nothing arrives any more"
    return _part_of(before, after, "come back")


def _are_gone(before: float, after: float) -> str:
    return _part_of(before, after, "are gone")


def _part_of(before: float, after: float, verb: str) -> str:
    back = before - after
    if back < 0.05:
        worse = f": {-back:.1f} more" if back <= -0.05 else ""
        return f"none of {before:.1f} decades {verb}{worse}"
    return f"{back:.1f} of {before:.1f} decades {verb}"


def _slope_rises(before: float, after: float) -> str:
    then, now = (percent(10**-value) for value in (before, after))
    return f"the flattest activation has {now} of its largest slope in place of {then}"


def _units_revive(before: float, after: float) -> str:
    return f"{percent(after)} of the units are dead in place of {percent(before)}"
