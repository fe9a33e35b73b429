"""The report as one small HTML page: no scripts, no links to elsewhere, every word of the fit escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape as _quoted
from typing import TYPE_CHECKING

from lightning_gradwatch.records import Finding
from lightning_gradwatch.report import words
from lightning_gradwatch.report.events import caveat, event_line
from lightning_gradwatch.report.forecast import forecasts
from lightning_gradwatch.report.table import Table, flow_table
from lightning_gradwatch.report.verdict import measured, name_of, total_layers, verdict

if TYPE_CHECKING:
    from lightning_gradwatch.report.report import Report

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1b1f24;background:#fff}
h1{font-size:1.4em}h2{font-size:1.1em;margin:0 0 .3em}
section{border-left:.4em solid #888;padding:.1em 1em;margin:1.2em 0}
.critical{border-color:#b3261e}.warning{border-color:#c77700}.resolved{border-color:#2e7d32}
table{border-collapse:collapse;font-size:.9em}td,th{padding:.1em .7em;text-align:right;border-bottom:1px solid #ddd}
pre{overflow-x:auto;padding:.6em;background:#8881;font-size:.9em}
td:nth-child(-n+2),th:nth-child(-n+2){text-align:left}.sick{background:#fdecea}
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#15181c}.sick{background:#4a1f1c}td,th{border-color:#444}}
"""


def page(report: Report) -> str:
    """The whole report as one HTML document."""
    title = _escape(f"GradWatch report{f' of {name}' if (name := name_of(report)) else ''}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    body = "\n".join(_body(report, title))
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _escape(text: str) -> str:
    return _quoted(words.plain(text), quote=True)


def _body(report: Report, title: str) -> Iterator[str]:
    yield f"<h1>{title}</h1>"
    yield f"<p><strong>{_escape(verdict(report))}</strong></p>\n<p>{_escape(measured(report))}.</p>"
    yield from (f"<p>{_escape(text)}</p>" for text in forecasts(report))
    for finding in report.sorted_findings:
        yield f'<section class="{"resolved" if finding.resolved else finding.severity.value}">'
        yield from _finding(finding, report)
        yield "</section>"
    table = flow_table(report)
    if table is not None:
        yield f"<h2>Gradient flow by layer</h2>\n<p>{_escape(table.caption)}</p>"
        yield from _table(table)
    yield from _list("What was done", map(event_line, report.events))
    if report.patch:
        lines = "\n".join(_escape(line.expandtabs(4)) for line in report.patch.splitlines())
        yield f"<h2>For the network's own source</h2>\n<pre>{lines}</pre>"
    yield from _list("Notes", report.remarks)
    yield from _list("Settings", (f"{key}: {value!r}" for key, value in report.config.items()))


def _finding(finding: Finding, report: Report) -> Iterator[str]:
    state = "resolved, began at" if finding.resolved else "since"
    yield f"<h2>{words.TITLES[finding.kind]} ({finding.severity}), {state} step {finding.first_step}</h2>"
    yield f"<p>{_escape(finding.summary)}.</p>"
    yield f"<p>Where: {_escape(words.some(finding.layers, total_layers(finding), 400))}</p>"
    if finding.ignored:
        yield f"<p>Ignored: {_escape(finding.ignored)}</p>"
    causes = (f"{words.percent(c.share)} {words.heading(c)}: {words.told(c)}" for c in finding.causes)
    yield from _list("Why", causes)
    yield from _list("What follows from it", finding.consequences)
    own = [event for event in report.events if event.finding == finding.id]
    yield from _list("Done", (f"{event_line(event)} {caveat(finding.kind, event)}" for event in own))
    yield from _list("Try", (f"{r.title}: {r.advice} {r.reason} ({r.source})" for r in finding.remedies), "ol")


def _list(title: str, items: Iterable[str], tag: str = "ul") -> Iterator[str]:
    told = [f"<li>{_escape(item.strip())}</li>" for item in items]
    if told:
        yield f"<p><strong>{title}</strong></p>\n<{tag}>" + "\n".join(told) + f"</{tag}>"


def _table(table: Table) -> Iterator[str]:
    yield f"<table><thead><tr>{_cells(table.header, 'th')}</tr></thead><tbody>"
    for row in table.rows:
        yield ('<tr class="sick">' if row[0] else "<tr>") + _cells(row, "td") + "</tr>"
    yield "</tbody></table>"


def _cells(row: Iterable[str], tag: str) -> str:
    return "".join(f"<{tag}>{_escape(cell)}</{tag}>" for cell in row)
