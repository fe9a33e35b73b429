"""A number that something is judged by: its name, its unit, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """One number that a detector or a rule decides by.

    Detectors and rules make these from the constants at the top of their file: that is the one place of a value.
    """

    name: str  # "opens at"
    value: float
    unit: str  # "decades"
    why: str  # why this value: the source, or what was measured


def table(thresholds: Sequence[Threshold]) -> str:
    """Thresholds as a Markdown table; "" where there are none.

    Example:
        >>> print(table([Threshold(name="opens at", value=4.0, unit="decades", why="measured")]))
        | threshold | value | unit | why |
        |---|---|---|---|
        | opens at | 4 | decades | measured |
    """
    rows = [f"| {_cell(one.name)} | {one.value:.4g} | {_cell(one.unit)} | {_cell(one.why)} |" for one in thresholds]
    return "\n".join(["| threshold | value | unit | why |", "|---|---|---|---|", *rows]) if rows else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
