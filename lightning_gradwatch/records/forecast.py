"""How a fit will begin: what a checkup expects of the first layer's gradient before any weight has moved."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Decades at the first layer's output beside the head's, as the network is initialised, and how far chance goes.

    Example:
        >>> forecast = Forecast(layer="net.0", decades=-16.9, batches=4, draws=(-17.2, -16.8, -17.0))
        >>> forecast.expected, forecast.spread
        (-17.0, (-17.2, -16.8))
    """

    layer: str  # the one farthest from the loss, as named_modules() says it: "net.0"
    decades: float  # with the weights it has now; the median over batches
    batches: int  # how many
    draws: tuple[float, ...] = ()  # the same on the first batch, for every re-initialisation that was tried
    kept: tuple[str, ...] = ()  # layers whose weights stayed as they are in those

    @property
    def expected(self) -> float:
        """The median over re-initialisations; where there are none, what the network has now."""
        return statistics.median(self.draws) if self.draws else self.decades

    @property
    def spread(self) -> tuple[float, float] | None:
        """The least and the most over re-initialisations; None: there are none."""
        return (min(self.draws), max(self.draws)) if self.draws else None
