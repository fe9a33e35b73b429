"""The table of gradient flow by layer, as cells of text: the console, Markdown and HTML lay it out in their own way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_gradwatch.records import LayerProfile
from lightning_gradwatch.report import words
from lightning_gradwatch.report.flow import Flow, flow

if TYPE_CHECKING:
    from lightning_gradwatch.report.report import Report

MOST_ROWS = 24
_ENDS, _WORST = 7, 4  # 2 x 7 rows at the ends, 4 in between and at most 5 gaps: 23
_FAMILIES = {"activation": "activation", "linear": "weights", "norm": "norm", "other": "other"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells of text."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # as many cells as the header has; a gap has its words in the second cell


def flow_table(report: Report) -> Table | None:
    """Gradient flow at the first and the last measured step, head first, at most 24 rows; None: nothing to show."""
    shown = flow(report.frames, report.alarms, limit=2)
    if shown is None:
        return None
    marked = frozenset(shown.marked(report.worst)) if report.worst else frozenset[int]()
    families = [family for family in _FAMILIES if any(_tells(cell, family) for cell in shown.rows[-1])]
    steps = dict(zip(shown.steps, range(len(shown.steps)), strict=True))  # one measured step: one column
    return Table(
        caption=_caption(shown, bool(families), bool(marked)),
        header=("", "layer", *(f"step {step}" for step in steps), *(_FAMILIES[family] for family in families)),
        rows=tuple(_rows(shown, list(steps.values()), families, marked)),
    )


def _caption(shown: Flow, by_family: bool, marked: bool) -> str:
    of = "the gradient that leaves the head" if shown.ledger else "the last layer's gradient (no ledger: by parameters)"
    inside = f" (inside {' and '.join(shown.opaque)} told by parameter gradients)" if shown.opaque else ""
    what = f"Share of {of} that arrives at each layer's output{inside}"
    lost = f"; then decades (factors of ten) lost (-) or gained (+) there at step {shown.steps[-1]}, by operation"
    return what + (lost if by_family else "") + ("; ! = named by the finding" if marked else "") + "."


def _tells(cell: LayerProfile | None, family: str) -> bool:
    value = 0.0 if cell is None else getattr(cell, family)
    return math.isnan(value) or abs(value) >= 0.05


def _rows(shown: Flow, steps: list[int], families: list[str], marked: frozenset[int]) -> Iterator[tuple[str, ...]]:
    before = -1
    columns = len(steps) + len(families)
    for index in _kept(shown):
        if index > before + 1:
            yield ("", f"... {words.count(index - before - 1, 'layer')} ...", *[""] * columns)
        cells = [shown.rows[step][index] for step in steps]
        arrives = ["" if cell is None else words.ratio(cell.flow) for cell in cells]
        own = [_decades(cells[-1], family) for family in families]
        yield ("!" if index in marked else "", words.short(shown.layers[index], 36), *arrives, *own)
        before = index


def _kept(shown: Flow) -> list[int]:
    """All columns, or both ends of a deep network and the layers in between that lose or gain most."""
    count = len(shown.layers)
    if count <= MOST_ROWS:
        return list(range(count))
    middle = sorted(range(_ENDS, count - _ENDS), key=lambda i: _change(shown.rows[-1][i]), reverse=True)
    kept = {*range(_ENDS), *middle[:_WORST], *range(count - _ENDS, count)}
    return sorted(kept | {i + 1 for i in kept if i + 2 in kept})  # a gap of one layer would take as much room


def _change(cell: LayerProfile | None) -> float:
    if cell is None:
        return -1.0
    parts = [cell.activation, cell.linear, cell.norm, cell.other]
    return math.inf if not all(map(math.isfinite, parts)) else abs(math.fsum(parts))


def _decades(cell: LayerProfile | None, family: str) -> str:
    if cell is None or not _tells(cell, family):
        return ""
    value = getattr(cell, family)
    return "?" if math.isnan(value) else f"{value:+.1f}"


def layout(table: Table) -> list[str]:
    """The table as lines of aligned text: names to the left, numbers to the right."""
    grid = (table.header, *table.rows)
    widths = [max(len(row[i]) for row in grid) for i in range(len(table.header))]
    return [_line(row, widths) for row in grid]


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return (" ".join(left) + "  " + "  ".join(right)).rstrip()
