"""The forecast of a checkup in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lightning_gradwatch.records import Forecast
from lightning_gradwatch.report import words

if TYPE_CHECKING:
    from lightning_gradwatch.report.report import Report


def forecasts(report: Report) -> list[str]:
    """What is to be expected of a fit's beginning, in at most one sentence."""
    return [] if report.forecast is None else [sentence(report.forecast)]


def sentence(forecast: Forecast) -> str:
    """The forecast as one sentence, the spread over re-initialisations included where there is one.

    Example:
        >>> sentence(Forecast(layer="net.0", decades=-16.9, batches=4, draws=(-17.2, -16.8)))
        "At the start 10^-16.9 of the head's gradient reaches net.0 (4 batches); over 2 re-initialisations 10^-17.2 to 10^-16.8, median 10^-17.0."
    """  # noqa: E501
    now = f"{_power(forecast.decades)} of the head's gradient reaches {words.short(forecast.layer, 60)}"
    told = f"At the start {now} ({_batches(forecast.batches)})"
    if forecast.spread is None:
        return f"{told}."
    low, high = map(_power, forecast.spread)
    return (
        f"{told}; over {words.count(len(forecast.draws), 're-initialisation')} {low} to {high}, "
        f"median {_power(forecast.expected)}{_kept(forecast)}."
    )


def _power(decades: float) -> str:
    if math.isfinite(decades):
        return f"10^{decades:.1f}"
    return "an unknown part" if math.isnan(decades) else "nothing" if decades < 0 else "an infinite multiple"


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count} batches"


def _kept(forecast: Forecast) -> str:
    if not forecast.kept:
        return ""
    return f" ({words.count(len(forecast.kept), 'layer')} left as {'it is' if len(forecast.kept) == 1 else 'they are'})"
