"""The verdict of a report, in one or two sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lightning_gradwatch.records import CauseKind, Finding, Frame
from lightning_gradwatch.report import words
from lightning_gradwatch.report.flow import Flow, flow

if TYPE_CHECKING:
    from lightning_gradwatch.report.report import Report

NOTHING = "Nothing was measured: no training step ran under GradWatch."
NO_GRADIENT = "No gradient was there to judge: none reached a parameter on these steps."


def verdict(report: Report) -> str:
    """What a colleague wants to hear first: whether the gradient flows, and if not, the worst that is open."""
    if not report.frames and not report.findings:
        return NOTHING
    if not report.findings and not any(map(_has_gradient, report.frames)):
        return NO_GRADIENT
    shown = flow(report.frames[-1:], report.alarms)
    sentence = [_rounded(report) or flow_sentence(shown)] if shown and shown.ledger else []
    return " ".join([_state(report, shown), *sentence, *_aside(report)])


def _has_gradient(frame: Frame) -> bool:
    """False where ``training_step`` gave nothing, or a loss of zero: that is not healthy, only silent."""
    return any(reading.norm for reading in frame.parameters) or any(led.end > -math.inf for led in frame.ledgers)


def _state(report: Report, shown: Flow | None) -> str:
    worst = report.worst
    if worst is None:
        return _calm(report, shown)
    title = f"{words.TITLES[worst.kind]} ({worst.severity}) since step {worst.first_step}."
    if len(report.alarms) == 1:
        return title
    return f"{len(report.alarms):,} open findings, the worst: {title}"


def _calm(report: Report, shown: Flow | None) -> str:
    if not report.frames:
        return "No alarm, but nothing was measured."
    return (
        "Healthy: nothing is wrong now." if shown is None or shown.fine else "No alarm, though little gradient arrives."
    )


def _rounded(report: Report) -> str:
    """What the worst finding says, where the number format is to blame: what is left may look well distributed."""
    causes = report.worst.causes if report.worst is not None else ()
    by_format = bool(causes) and causes[0].kind is CauseKind.PRECISION
    return f"{_capital(report.worst.summary)}." if by_format and report.worst is not None else ""


def flow_sentence(shown: Flow) -> str:
    """How much of the head's gradient reaches the deepest layer, or the most starved, on the last measured step."""
    return f"{_capital(reach(shown, 60))} (step {shown.steps[-1]})."


def reach(shown: Flow, width: int) -> str:
    """The same without the step; the layer's name in at most so many characters."""
    layer, decades = shown.told
    return f"{words.part(decades)} the head's gradient reaches {words.short(layer, width)}"


def name_of(report: Report) -> str:
    """What was watched, in words; "" where the watch only bears its own default name."""
    return "" if report.name == "gradwatch" else words.short(report.name, 40) if report.name else ""


def _aside(report: Report) -> list[str]:
    resolved = sum(finding.resolved for finding in report.findings)
    silenced = sum(not finding.resolved and finding.ignored is not None for finding in report.findings)
    quiet = sum(not finding.resolved and not finding.is_alarm for finding in report.findings) - silenced
    said = [f"{words.count(resolved, 'finding')} came and went." if resolved else ""]
    said += [f"{words.count(quiet, 'remark')} below, no alarm." if quiet else ""]
    said += [f"{words.count(silenced, 'finding')} silenced, with the reason below." if silenced else ""]
    return [sentence for sentence in said if sentence]


def total_layers(finding: Finding) -> int | None:
    """How many layers there are where the finding looked, if its evidence says so."""
    return next((int(q.value) for q in finding.evidence if q.name == "layers on the way" and q.value < 1e9), None)


def measured(report: Report) -> str:
    """How much was measured: ``24 steps measured (steps 0 to 59)``."""
    if not report.frames:
        return "no step measured"
    steps = [frame.step for frame in report.frames]
    return f"{words.count(len(steps), 'step')} measured ({words.span(min(steps), max(steps))})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
