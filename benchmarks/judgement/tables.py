"""Figures -> text: the table for the console and for the page in docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = ("recall", "false alarms", "mild that rang", "right kind", "right first cause", "right place", "in time")


def table(ours: Mapping[str, Any], peers: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for the watch and for each peer, as markdown."""
    lines = [("", *COLUMNS, "median delay"), ("---", *["---:"] * (len(COLUMNS) + 1))]
    for name, scores in (("GradWatch", ours), *peers.items()):
        lines.append((name, *(_percent(scores.get(column)) for column in COLUMNS), _steps(scores["delay, median"])))
    return _rows(lines)


def precision(ours: Mapping[str, Any]) -> str:
    """How often an alarm of each kind was right."""
    rows = [(kind, f"{right} of {of}") for kind, (right, of) in ours["precision by kind"].items()]
    return _rows([("kind", "alarms that were right"), ("---", "---:"), *rows])


def confusion(ours: Mapping[str, Any]) -> str:
    """Labelled causes down, named first causes across."""
    named = sorted({cause for row in ours["causes"].values() for cause in row})
    rows = [(truth, *(str(row.get(cause, "")) for cause in named)) for truth, row in ours["causes"].items()]
    return _rows([("label \\ named", *named), ("---", *["---:"] * len(named)), *rows])


def mistakes(ours: Mapping[str, Any]) -> str:
    """Every mistake, named."""
    parts = [
        f"{sort} ({len(names)}):\n\n" + "\n".join(f"- {name}" for name in names)
        for sort, names in ours["mistakes"].items()
    ]
    return "\n\n".join(parts) or "No mistakes."


def report(half: str, ours: Mapping[str, Any], peers: Mapping[str, Mapping[str, Any]], heading: str = "##") -> str:
    """All of one half."""
    counts = f"{ours['sick']} sick, {ours['healthy']} healthy, {ours['mild']} mild fits."
    sections: Sequence[tuple[str, str]] = (
        ("Precision by kind", precision(ours)),
        ("First causes", confusion(ours)),
        ("Mistakes", mistakes(ours)),
    )
    body = "\n\n".join(f"{heading}# {title}: {half}\n\n{text}" for title, text in sections)
    return f"{heading} {half.capitalize()} half\n\n{counts}\n\n{table(ours, peers)}\n\n{body}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}" if value in (0.0, 1.0) else f"{value:.1%}"


def _steps(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _rows(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines
    )
