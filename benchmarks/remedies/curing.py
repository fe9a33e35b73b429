"""The arithmetic of cures.  Pure; knows no torch.

A row is what became of one fit under every arm: ``{"arms": {"nothing": {"score": ..}, "twin": ..}, "bug": ""}``.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
CURED = 0.95  # of the healthy twin's score
# What is told of the cost: the name of the column, what is counted, and beside which arm.
COSTS = {"cpu": ("cpu", "nothing"), "cpu beside watched": ("cpu", "watch"), "steps": ("steps", "nothing")}


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


MIDDLES = (("median", _median), ("mean", _mean))


def cured(score: float | None, twin: float | None) -> bool:
    """Whether a score reaches 95 % of the twin's."""
    return score is not None and twin is not None and twin > 0 and score >= CURED * twin


def curable(row: Row) -> bool:
    """Whether there is something to cure: no bug, and the twin did what the sick fit does not."""
    return not row["bug"] and has_to_gain(row)


def has_to_gain(row: Row) -> bool:
    """Whether the twin is measurably better off than the sick fit left alone."""
    twin, sick = score_of(row, "twin"), score_of(row, "nothing")
    return twin is not None and twin > 0 and not cured(sick, twin)


def score_of(row: Row, arm: str) -> float | None:
    """The score of an arm; None: it did not run, or broke."""
    value = row["arms"].get(arm, {}).get("score")
    return None if value is None else float(value)  # "-inf" is a word in JSON


def is_cured(row: Row, arm: str) -> bool:
    """Whether the arm reached 95 % of the twin's score."""
    return cured(score_of(row, arm), score_of(row, "twin"))


def time_ratio(row: Row, arm: str, of: str = "cpu", beside: str = "nothing") -> float | None:
    """Cost of an arm, in CPU time of the process or in ``steps``, beside that of the sick fit left alone."""
    mine, alone = (row["arms"].get(name, {}).get(of) for name in (arm, beside))
    return mine / alone if mine is not None and alone else None


def score(rows: Sequence[Row], arm: str) -> dict[str, Any]:
    """Cured share among the curable fits that the arm ran on, and among those that the oracle cures; what it cost."""
    ran = [row for row in rows if curable(row) and arm in row["arms"]]
    return {
        "fits": len(ran),
        "cured": _mean([is_cured(row, arm) for row in ran]),
        "of the oracle's": _mean([is_cured(row, arm) for row in ran if is_cured(row, "oracle")]),
        **{f"{name}, {middle}": take(_ratios(ran, arm, *of)) for name, of in COSTS.items() for middle, take in MIDDLES},
    }


def _ratios(rows: Iterable[Row], arm: str, of: str, beside: str) -> list[float]:
    return [ratio for row in rows if (ratio := time_ratio(row, arm, of, beside)) is not None]


def by(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows in groups, those of most rows first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return dict(sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])))


def harmed(row: Row) -> str:
    """What ``heal`` did to a healthy fit that it should not have done; "": nothing."""
    alone, healed = row["arms"]["nothing"], row["arms"]["heal"]
    if "error" in healed:
        return healed["error"]
    before, after = score_of(row, "nothing"), score_of(row, "heal")
    worse = before is not None and (after is None or after < CURED * before)
    chance = not alone.get("same again", True)  # a fit that differs from itself tells nothing by its weights
    if alone["weights"] == healed["weights"] or (chance and not worse):
        return ""
    return "other weights, and it does worse" if worse else "other weights"
