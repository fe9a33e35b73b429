"""The arithmetic of the table: rows of results in, figures and named mistakes out.  Pure; knows no torch.

An *alarm* is a finding that was a warning or critical at any time of the fit, resolved since or not.  Of several alarms
the *lead* is the first in the report's order: what the user reads first.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fit import Fit
from labels import confirm, places

Row = Mapping[str, Any]
SOON = 20  # steps from the onset within which an alarm is in time


def alarms(row: Row) -> list[dict[str, Any]]:
    """The alarms of one fit, the one to read first at the head."""
    return [finding for finding in row["gradwatch"] if finding["rang"] is not None]


def score(rows: Sequence[Row]) -> dict[str, Any]:
    """All figures about GradWatch over some fits."""
    sick = [row for row in rows if row["health"] == "sick"]
    hits = [row for row in sick if alarms(row)]
    healthy = [row for row in rows if row["health"] == "healthy"]
    mild = [row for row in rows if row["health"] == "mild"]
    delays = [delay(row) for row in hits]
    return {
        "sick": len(sick),
        "healthy": len(healthy),
        "mild": len(mild),
        "recall": share(hits, sick),
        "false alarms": share([row for row in healthy if alarms(row)], healthy),
        "mild that rang": share([row for row in mild if alarms(row)], mild),
        "right kind": share([row for row in hits if right_kind(row)], hits),
        "right first cause": share([row for row in hits if right_cause(row)], hits),
        "right place": share([row for row in hits if right_place(row)], hits),
        "delay, median": statistics.median(delays) if delays else None,
        "in time": share([d for d in delays if d <= SOON], delays),
        "precision by kind": precision_by_kind(rows),
        "causes": confusion(hits),
        "mistakes": mistakes(rows),
    }


def score_peers(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Recall, false alarms and delay of every peer over some fits."""
    names = dict.fromkeys(name for row in rows for name in row["peers"])
    return {name: _score_peer(name, [row for row in rows if name in row["peers"]]) for name in names}


def _score_peer(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    by_health: dict[str, list[Row]] = {"sick": [], "healthy": [], "mild": []}
    for row in rows:
        by_health[row["health"]].append(row)
    rang = {health: [row for row in of if row["peers"][name]["alarms"]] for health, of in by_health.items()}
    delays = [max(0, row["peers"][name]["alarms"][0][0] - row["onset"]) for row in rang["sick"]]
    causes = [row for row in rang["sick"] if row["peers"][name]["cause"] is not None]
    return {
        "recall": share(rang["sick"], by_health["sick"]),
        "false alarms": share(rang["healthy"], by_health["healthy"]),
        "mild that rang": share(rang["mild"], by_health["mild"]),
        "right first cause": share(
            [row for row in causes if row["peers"][name]["cause"] in row["causes"]], rang["sick"]
        ),
        "delay, median": statistics.median(delays) if delays else None,
        "in time": share([d for d in delays if d <= SOON], delays),
    }


def right_kind(row: Row) -> bool:
    return alarms(row)[0]["kind"] in row["kinds"]


def right_cause(row: Row) -> bool:
    return first_cause(row) in row["causes"]


def right_place(row: Row) -> bool:
    """Whether the worst layer of the lead lies in a sick place, or is a part of one, or holds one."""
    lead, sick = alarms(row)[0], sick_places(row)
    return not sick or (bool(lead["layers"]) and any(_meet(lead["layers"][0], place) for place in sick))


def sick_places(row: Row) -> list[str]:
    """The places of the lead's kind, or all where that kind is wrong; []: it has no place of its own."""
    kind = alarms(row)[0]["kind"]
    return row["places"].get(kind, [place for places in row["places"].values() for place in places])


def _meet(layer: str, place: str) -> bool:
    return layer == place or layer.startswith(f"{place}.") or (bool(layer) and place.startswith(f"{layer}."))


def first_cause(row: Row) -> str:
    """The first cause of the lead; "none" where it names none."""
    causes = alarms(row)[0]["causes"]
    return causes[0][0] if causes else "none"


def delay(row: Row) -> int:
    """Steps from the onset to the first alarm; 0 for one that came before."""
    return max(0, min(finding["rang"] for finding in alarms(row)) - row["onset"])


def not_early(row: Row) -> bool:
    """Whether nothing rang before the onset."""
    return min(finding["rang"] for finding in alarms(row)) >= row["onset"]


def precision_by_kind(rows: Iterable[Row]) -> dict[str, tuple[int, int]]:
    """Of the alarms of each kind: how many were in a fit that is sick in that way, and how many there were."""
    right, all_of = Counter[str](), Counter[str]()
    for row in rows:
        for kind in {finding["kind"] for finding in alarms(row)}:
            all_of[kind] += 1
            right[kind] += row["health"] == "sick" and kind in row["kinds"]
    return {kind: (right[kind], count) for kind, count in sorted(all_of.items())}


def confusion(hits: Iterable[Row]) -> dict[str, dict[str, int]]:
    """The labelled first cause -> the first cause named -> fits.  Any of several right ones counts as the best."""
    table: dict[str, Counter[str]] = {}
    for row in hits:
        best = row["causes"][0]
        table.setdefault(best, Counter())[best if right_cause(row) else first_cause(row)] += 1
    return {truth: dict(named) for truth, named in sorted(table.items())}


def mistakes(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Every mistake by its sort: the fit's name, and what was said instead."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for sort, said in _mistakes(row):
            found.setdefault(sort, []).append(f"{row['name']}{said and f': {said}'}")
    return found


def _mistakes(row: Row) -> Iterable[tuple[str, str]]:
    rung = alarms(row)
    if not row["confirmed"]:
        yield "label not confirmed", row["reason"]
    if row["health"] != "sick":
        if rung:
            yield f"{row['health']} that rang", ", ".join(f"{f['kind']} at {f['rang']}" for f in rung)
        return
    if not rung:
        yield "missed", ", ".join(f["kind"] for f in row["gradwatch"]) and "said as info"
        return
    checks: list[tuple[str, Callable[[Row], bool], str, Any]] = [
        ("wrong kind", right_kind, rung[0]["kind"], row["kinds"]),
        ("wrong first cause", right_cause, first_cause(row), row["causes"]),
        ("wrong place", right_place, (rung[0]["layers"] or ["nowhere"])[0], sick_places(row)[:3]),
        ("late", lambda row: delay(row) <= SOON, f"{delay(row)} steps", [SOON]),
        ("before its onset", not_early, f"{rung[0]['rang']}", [row["onset"]]),
    ]
    for sort, right, said, wanted in checks:
        if not right(row):
            yield sort, f"{said}, not {' or '.join(map(str, wanted))}"


def confirmed(row: Mapping[str, Any], fit: Fit) -> dict[str, Any]:
    """A result with the places that count as right and whether its label holds, for the fit as it is labelled now."""
    holds, reason = confirm(fit, row["measurement"])
    return {**row, "places": places(fit, row["measurement"]), "confirmed": holds, "reason": reason}


def share(part: Sequence[Any], whole: Sequence[Any]) -> float | None:
    """Part of a whole, 0..1; None of nothing."""
    return len(part) / len(whole) if whole else None
