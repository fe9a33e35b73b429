"""The arms: what is done about a fit.  Each trains it to its end and says how it went, and what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fitting import fit
from twin import twins

from lightning_gradwatch import GradWatch
from lightning_gradwatch.errors import GradWatchError

Result = dict[str, Any]


class NotThere(Exception):
    """An arm that this version of the package does not have."""


def nothing(one: Any) -> Result:
    """The fit as it is.  Twice: what the first fit of a process pays once is no part of it."""
    first, second = fit(one), fit(one)
    return {**min(first, second, key=lambda row: row["cpu"]), "same again": first["weights"] == second["weights"]}


def twin(one: Any) -> Result:
    """The fit built right."""
    return fit(one, build=twins()[one.fit.name].build)


def heal(one: Any) -> Result:
    """The fit with one more callback: the watch that heals."""
    try:
        watch = GradWatch(on_vanishing="heal", verbose=False)  # type: ignore[arg-type]
    except GradWatchError as error:
        raise NotThere(f"GradWatch(on_vanishing='heal') is not there: {error}") from None
    row = fit(one, [watch])
    report = watch.report
    done = [f"{event.step}: {event.action} {event.reason} {event.effect}".strip() for event in report.events]
    return {**row, "did": done, "notes": list(report.notes)}


def random(one: Any) -> Result:
    """Random search over the remedies that ``heal`` has, for as many steps."""
    from random_search import search

    return search(one)


def autotrainer(one: Any) -> Result:
    """AUTOTRAINER's ordered lists, each try from scratch."""
    from autotrainer_arm import repair

    return repair(one)


def oracle(one: Any) -> Result:
    """Every remedy and every sensible pair, for the whole length."""
    from oracle_arm import best

    return best(one)


ARMS: dict[str, Callable[[Any], Result]] = {
    "nothing": nothing,
    "twin": twin,
    "heal": heal,
    "random": random,
    "autotrainer": autotrainer,
    "oracle": oracle,
}
