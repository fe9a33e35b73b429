"""The arms: what is done about a fit.  Each trains it to its end and says how it went, and what was done."""

from __future__ import annotations

import importlib
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


def watch(one: Any) -> Result:
    """The fit as it is under a watch that only speaks: what of the cost of healing is the watching."""
    return fit(one, [GradWatch(verbose=False)])


def heal(one: Any) -> Result:
    """The fit with one more callback: the watch that heals."""
    try:
        healer = GradWatch(on_vanishing="heal", verbose=False)  # type: ignore[arg-type]
    except GradWatchError as error:
        raise NotThere(f"GradWatch(on_vanishing='heal') is not there: {error}") from None
    row = fit(one, [healer])
    report = healer.report
    return {**row, "did": [_told(event) for event in report.events], "notes": list(report.notes)}


def _told(event: Any) -> str:
    """One thing that was done: "12: treat Initialize('he'): proved on copies ... (better)"."""
    what = f"{event.action} {event.treatment}" if event.treatment else event.action
    return f"{event.step}: {what}: {event.reason}" + (f" ({event.effect})" if event.effect else "")


def random(one: Any) -> Result:
    """Random search over the remedies that ``heal`` has, for as many steps."""
    return _part("random_search").search(one)


def autotrainer(one: Any) -> Result:
    """AUTOTRAINER's ordered lists, each try from scratch."""
    return _part("autotrainer_arm").repair(one)


def oracle(one: Any) -> Result:
    """Every remedy and every sensible pair, for the whole length."""
    return _part("oracle_arm").best(one)


def _part(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotThere(f"{name} needs what is not there: {error}") from None


ARMS: dict[str, Callable[[Any], Result]] = {
    "nothing": nothing,
    "twin": twin,
    "watch": watch,
    "heal": heal,
    "random": random,
    "autotrainer": autotrainer,
    "oracle": oracle,
}
