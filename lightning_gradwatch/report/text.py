"""What the console says: one short block when something is wrong, one line when it heals, one at the end, the report.

Plain text without colour or markup: print it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from lightning_gradwatch.records import Cause, Event, Finding, Remedy
from lightning_gradwatch.report import words
from lightning_gradwatch.report.events import caveat, event_line
from lightning_gradwatch.report.forecast import forecasts
from lightning_gradwatch.report.markdown import markdown
from lightning_gradwatch.report.table import flow_table, layout
from lightning_gradwatch.report.verdict import NOTHING, measured, name_of, total_layers, verdict
from lightning_gradwatch.report.words import WIDTH, wrap

if TYPE_CHECKING:
    from lightning_gradwatch.report.report import Report

__all__ = [
    "closing_line",
    "console",
    "event_line",
    "finding_block",
    "markdown",
    "resolved_line",
]

MOST_LINES = 14
PATCH = "Put this into the network's own source, so that the next fit begins healthy:"
_INDENT = 10  # "  where   "
# Ways to tell a finding, from generous to terse: lines of a cause, remedies with their reason, lines of each of those.
_WAYS = ((2, 3, None), (2, 1, None), (2, 1, 3), (2, 1, 2), (2, 0, 1), (1, 0, 1))


def finding_block(finding: Finding, events: Sequence[Event] = (), *, full: bool = False) -> str:
    """What is wrong, where, since when, why, what to try: at most 14 lines of 100 columns.

    Args:
        finding: what was found, with its causes and remedies.
        events: what was done in this fit; those for this finding are told.
        full: everything in as many lines as it takes, as the report has it.

    Example:
        >>> from lightning_gradwatch.records import Kind, Severity
        >>> print(finding_block(Finding(id="vanishing:loss", kind=Kind.VANISHING, severity=Severity.CRITICAL,
        ...     summary="net.0 gets 10^-9.0 of the gradient that the head gets", layers=("net.0", "net.2"),
        ...     first_step=0, last_step=2)))
        GradWatch  VANISHING gradient (critical) since step 0
          what    net.0 gets 10^-9.0 of the gradient that the head gets
          where   net.0, net.2 (2 layers)
    """
    own = [event for event in events if event.finding == finding.id]
    if full:
        return "\n".join([_title(finding), *_block(finding, own)])
    told = ([f"GradWatch  {_title(finding)}", *_block(finding, own, way)] for way in _WAYS)
    lines: list[str] = []
    for lines in told:
        if len(lines) <= MOST_LINES:
            break
    return "\n".join(lines)


_Way = tuple[int, int, int | None]


def _block(finding: Finding, events: list[Event], way: _Way | None = None) -> Iterator[str]:
    lines, reasoned, reason_lines = way or (None, len(finding.remedies), None)
    yield from _section("what", wrap(finding.summary, WIDTH - _INDENT, lines and 2))
    yield from _section("where", [words.some(finding.layers, total_layers(finding), WIDTH - _INDENT)])
    yield from _section("ignored", wrap(finding.ignored, WIDTH - _INDENT, lines and 2) if finding.ignored else ())
    yield from _section("why", _why(finding.causes, lines))
    if lines is None:
        follows = (line for one in finding.consequences for line in wrap(one, WIDTH - _INDENT))
        yield from _section("then", follows)
    yield from _section("done", (line for event in events[-1:] for line in _done(finding, event, lines)))
    yield from _section("try", _try(finding.remedies[: lines and 3], reasoned, reason_lines, lines and 1))
    if finding.causes and lines is not None:
        yield from _section("more", [f"gradwatch explain {words.plain(finding.causes[0].code)}"])


def _title(finding: Finding) -> str:
    if finding.resolved:
        ended = f", gone since step {finding.resolved_step}" if finding.resolved_step is not None else ""
        return f"{words.TITLES[finding.kind]} ({finding.severity}), resolved: began at step {finding.first_step}{ended}"
    return f"{words.TITLES[finding.kind]} ({finding.severity}) since step {finding.first_step}"


def _section(label: str, lines: Iterable[str]) -> Iterator[str]:
    for i, line in enumerate(lines):
        yield f"{f'  {label if i == 0 else str()}':<{_INDENT}}{line}".rstrip()


def _why(causes: Sequence[Cause], lines: int | None) -> Iterator[str]:
    for i, cause in enumerate(causes[: lines and 3]):
        text = f"{words.heading(cause)}  {words.told(cause) if lines is None else cause.sentence}"
        yield from _hanging(f"{words.percent(cause.share):>5}  ", text, lines if i < 2 else lines and 1)


def _try(remedies: Sequence[Remedy], reasoned: int, lines: int | None, bare: int | None) -> Iterator[str]:
    for i, remedy in enumerate(remedies, 1):
        told = i <= reasoned and remedy.reason
        advice = f"{remedy.advice.rstrip('.')}: {remedy.reason}" if told else remedy.advice
        yield from _hanging(f"{i}. ", advice, lines if told else bare)


def _done(finding: Finding, event: Event, lines: int | None) -> list[str]:
    return wrap(f"{event_line(event)} {caveat(finding.kind, event)}", WIDTH - _INDENT, lines)


def _hanging(lead: str, text: str, lines: int | None) -> Iterator[str]:
    for i, line in enumerate(wrap(text, WIDTH - _INDENT - len(lead), lines)):
        yield (lead if i == 0 else " " * len(lead)) + line


def resolved_line(finding: Finding) -> str:
    """One line: what has gone, when, and how long it had stood."""
    ended = finding.last_step if finding.resolved_step is None else finding.resolved_step
    stood = f"it stood from step {finding.first_step}"
    line = f"GradWatch  resolved at step {ended}: {words.TITLES[finding.kind]} ({finding.severity}), {stood}, in "
    return line + words.some(finding.layers, total_layers(finding), max(30, WIDTH - len(line)))


def closing_line(report: Report) -> str:
    """One short line for the end of a fit."""
    if not report.frames and not report.findings:
        return f"GradWatch  {NOTHING}"
    more = " Everything: print(watch.report)" if report.findings else ""
    return words.wrap(f"GradWatch  {measured(report)}. {verdict(report)}{more}", 3 * WIDTH, 1)[0]


def console(report: Report) -> str:
    """The whole report: the verdict first, then every finding, the flow by layer, what was done, what was noted."""
    name = f" of {name}" if (name := name_of(report)) else ""
    told = (line for text in (verdict(report), *forecasts(report)) for line in wrap(text, WIDTH))
    parts = ["\n".join([f"GradWatch report{name}: {measured(report)}", *told])]
    parts += [finding_block(finding, report.events, full=True) for finding in report.sorted_findings]
    table = flow_table(report)
    if table is not None:
        parts.append("\n".join([*wrap(table.caption, WIDTH), *(f"  {line}" for line in layout(table))]))
    parts += _listing("What was done", map(event_line, report.events))
    parts += _listing("Notes", report.remarks)
    if report.patch:
        parts.append(
            "\n".join([PATCH, *(f"  {words.plain(line.expandtabs(4))}".rstrip() for line in report.patch.splitlines())])
        )
    return "\n\n".join(parts)


def _listing(title: str, items: Iterable[str]) -> list[str]:
    lines = [line for item in items for line in _hanging("  - ", item, None)]
    return ["\n".join([title, *lines])] if lines else []
