"""Rows of results -> the tables of cures, as markdown.

python benchmarks/remedies/summary.py [results.json]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import curing
from twin import HERE

from tables import _rows as table  # isort: skip  # the judgement's: its folder is on the path once twin is imported

Row = Mapping[str, Any]
ARMS = ("nothing", "watch", "heal", "random", "autotrainer", "oracle", "twin")
COLUMNS = tuple(f"{cost}, {middle}" for cost in curing.COSTS for middle, _ in curing.MIDDLES)


def report(rows: Sequence[Row]) -> str:
    """All tables, a half after the other."""
    parts = []
    for half in ("develop", "judge"):
        of = [row for row in rows if row["half"] == half]
        sick = [row for row in of if row["health"] == "sick" and {"nothing", "twin"} <= {*row["arms"]}]
        parts += [half_of(half, sick)] if sick else []
    healthy = [row for row in rows if row["health"] == "healthy" and {"nothing", "heal"} <= {*row["arms"]}]
    return "\n\n".join([*parts, *([harm(healthy)] if healthy else [])]) or "No results yet."


def half_of(half: str, rows: Sequence[Row]) -> str:
    """Which share of the curable was cured, at which price, and of which cause; what was not cured, named."""
    curable = [row for row in rows if curing.curable(row)]
    parts = [
        f"### {half.capitalize()} half",
        counts(rows),
        arms_table(rows),
        "By the labelled first cause, cured of curable:",
        causes_table(curable),
        missed(curable),
    ]
    return "\n\n".join(part for part in parts if part)


def counts(rows: Sequence[Row]) -> str:
    """How many sick fits there are, and why some of them do not count."""
    bugs = sum(bool(row["bug"]) for row in rows)
    well = sum(not row["bug"] and not curing.has_to_gain(row) for row in rows)
    left = len(rows) - bugs - well
    return (
        f"{len(rows)} sick fits; {bugs} have a bug in the user's code or data, which no remedy mends; {well} reach "
        f"95 % of their twin's score although a part of them is sick. {left} are curable."
    )


def arms_table(rows: Sequence[Row]) -> str:
    """One line for each arm that ran."""
    lines: list[tuple[str, ...]] = [("", "fits", "cured", "of the oracle's", *COLUMNS)]
    lines.append(("---", *["---:"] * (len(COLUMNS) + 3)))
    for arm in ARMS:
        scores = curing.score(rows, arm)
        if scores["fits"]:
            ratios = (_times(scores[column]) for column in COLUMNS)
            lines.append(
                (arm, str(scores["fits"]), _percent(scores["cured"]), _percent(scores["of the oracle's"]), *ratios)
            )
    return table(lines)


def causes_table(curable: Sequence[Row]) -> str:
    """A line for each labelled cause, a column for each arm."""
    arms = [arm for arm in ARMS if any(arm in row["arms"] for row in curable)]
    lines: list[tuple[str, ...]] = [("cause", *arms), ("---", *["---:"] * len(arms))]
    for cause, rows in curing.by(curable, lambda row: row["causes"][0]).items():
        lines.append((cause, *(_of([row for row in rows if arm in row["arms"]], arm) for arm in arms)))
    return table(lines)


def missed(curable: Sequence[Row]) -> str:
    """What ``heal`` did not cure, with the scores and what it did."""
    failed = [row for row in curable if "heal" in row["arms"] and not curing.is_cured(row, "heal")]
    if not failed:
        return ""
    lines = []
    for row in failed:
        scores = " ".join(f"{arm} {_score(curing.score_of(row, arm))}" for arm in ARMS if arm in row["arms"])
        done = "; ".join(row["arms"]["heal"].get("did", ())) or row["arms"]["heal"].get("error", "") or "nothing done"
        lines.append(f"- {row['name']}: {scores}. {done[:300]}")
    return f"Not cured by heal ({len(failed)}):\n\n" + "\n".join(lines)


def harm(rows: Sequence[Row]) -> str:
    """What ``heal`` did to healthy fits."""
    found = {row["name"]: said for row in rows if (said := curing.harmed(row))}
    lines = [f"- {name}: {said}" for name, said in found.items()]
    head = f"{len(rows)} healthy fits: {len(rows) - len(found)} are bit for bit what they are without it"
    worse = sum("worse" in said for said in found.values())
    return "\n\n".join(["### Healthy fits", f"{head}; {worse} do worse.", *(["\n".join(lines)] if lines else [])])


def _of(rows: Sequence[Row], arm: str) -> str:
    return f"{sum(curing.is_cured(row, arm) for row in rows)} of {len(rows)}" if rows else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}" if value in (0.0, 1.0) else f"{value:.1%}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _score(value: float | None) -> str:
    return "broke" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results.json"
    print(report(list(json.loads(file.read_text()).values())))
