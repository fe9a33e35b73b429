"""The report as Markdown, for pull requests, notebooks and TensorBoard's text tab.

Names of layers and sentences that hold them are text, never markup: what Markdown would read is escaped, with entities
where its dialects disagree about backslashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from lightning_gradwatch.records import Event, Finding
from lightning_gradwatch.report import words
from lightning_gradwatch.report.events import caveat, event_line
from lightning_gradwatch.report.forecast import forecasts
from lightning_gradwatch.report.table import Table, flow_table
from lightning_gradwatch.report.verdict import measured, name_of, total_layers, verdict

if TYPE_CHECKING:
    from lightning_gradwatch.report.report import Report

_BACKSLASHED = re.compile(r"([\\`*_\[\]#!])")
_ENTITIES = {ord(c): f"&#{ord(c)};" for c in "<>|~$@"} | {ord("&"): "&amp;"}


def escape(text: str) -> str:
    r"""Text that Markdown shows as it is.

    Example:
        >>> escape("a|b_c<script>")
        'a&#124;b\\_c&#60;script&#62;'
    """
    return _BACKSLASHED.sub(r"\\\1", words.plain(text)).translate(_ENTITIES).replace("&\\#", "&#")


def markdown(report: Report) -> str:
    """The whole report: verdict, findings, flow by layer, what was done, notes, settings."""
    return "\n".join(_document(report)).rstrip() + "\n"


def finding_markdown(finding: Finding, events: Sequence[Event] = ()) -> str:
    """One finding with its causes, remedies and what was done about it."""
    return "\n".join(_finding(finding, events)).rstrip() + "\n"


def _document(report: Report) -> Iterator[str]:
    yield f"# GradWatch report{f' of {escape(name)}' if (name := name_of(report)) else ''}"
    yield from ("", f"**{escape(verdict(report))}**", "", f"{escape(measured(report))}.", "")
    for text in forecasts(report):
        yield from (escape(text), "")
    for finding in report.sorted_findings:
        yield from _finding(finding, report.events)
    table = flow_table(report)
    if table is not None:
        yield from ("## Gradient flow by layer", "", escape(table.caption), "", *_grid(table), "")
    yield from _listing("## What was done", map(event_line, report.events))
    yield from _patch(report.patch)
    yield from _listing("## Notes", report.remarks)
    yield from _listing("## Settings", (f"{key}: {value!r}" for key, value in report.config.items()))


def _patch(patch: str) -> Iterator[str]:
    """Code, in a fence that is longer than any in it."""
    if patch:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", patch)), default=0))
        lines = [words.plain(line.expandtabs(4)) for line in patch.splitlines()]
        yield from ("## For the network's own source", "", f"{fence}diff", *lines, fence, "")


def _finding(finding: Finding, events: Sequence[Event]) -> Iterator[str]:
    state = "resolved, began at" if finding.resolved else "since"
    title = f"{words.TITLES[finding.kind]} ({finding.severity}), {state} step {finding.first_step}"
    yield from (f"## {title}", "", f"{escape(finding.summary)}.", "")
    yield f"Where: {escape(words.some(finding.layers, total_layers(finding), 400))}"
    yield ""
    if finding.ignored:
        yield from (f"Ignored: {escape(finding.ignored)}", "")
    yield from _listing("**Why**", (_cause(finding, i) for i in range(len(finding.causes))), escaped=True)
    yield from _listing("**What follows from it**", finding.consequences)
    own = [event for event in events if event.finding == finding.id]
    yield from _listing("**Done**", (f"{event_line(e)} {caveat(finding.kind, e)}".rstrip() for e in own))
    yield from _listing("**Try**", (_remedy(finding, i) for i in range(len(finding.remedies))), "1.", escaped=True)
    evidence = (f"{q.name}: {q.value:.3g} {q.unit}".rstrip() for q in finding.evidence)
    yield from _listing("**Evidence**", evidence)


def _cause(finding: Finding, index: int) -> str:
    cause = finding.causes[index]
    return f"**{words.percent(cause.share)} {escape(words.heading(cause))}** {escape(words.told(cause))}"


def _remedy(finding: Finding, index: int) -> str:
    remedy = finding.remedies[index]
    source = f" Source: {remedy.source}" if remedy.source else ""
    return f"**{escape(remedy.title)}**: {escape(f'{_closed(remedy.advice)} {_closed(remedy.reason)}{source}')}"


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def _listing(title: str, items: Iterable[str], mark: str = "-", *, escaped: bool = False) -> Iterator[str]:
    """A titled list; an item never begins with what Markdown takes for a list, a heading or a quote."""
    told = [f"{mark} {item if escaped else _opening(escape(item))}" for item in items]
    if told:
        yield from (title, "", *told, "")


def _opening(text: str) -> str:
    return re.sub(r"^(\d+)([.)])|^([-+])", r"\1\\\2\3" if text[:1].isdigit() else r"\\\3", text)


def _grid(table: Table) -> Iterator[str]:
    yield _row(table.header)
    yield "|" + "|".join([" :- "] * 2 + [" -: "] * (len(table.header) - 2)) + "|"
    for row in table.rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"
