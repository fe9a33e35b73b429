"""The vertical scale of the picture: decades, and how a person reads them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WORDS = {
    1: "10 times",
    2: "100 times",
    3: "1000 times",
    0: "all of it",
    -1: "1/10",
    -2: "1/100",
    -3: "1/1000",
}
_BY_THREES = {-6: "1 millionth", -9: "1 billionth"}  # beside 1e-4 and 1e-8 they would only puzzle
_STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)
_MOST_TICKS = 8


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A range of decades, with a floor for nothing and a ceiling for infinity where they occur."""

    low: float  # the finite range
    high: float
    nothing: bool  # somewhere nothing arrives: it is drawn on the floor
    infinite: bool

    @classmethod
    def over(cls, rows: Iterable[Sequence[float]]) -> Scale:
        """The scale that shows these rows.  It never zooms into the noise of a healthy network."""
        values = list(itertools.chain.from_iterable(rows))
        finite = [value for value in values if math.isfinite(value)]
        return cls(
            low=min(-3.0, min(finite, default=0.0)),
            high=max(1.0, max(finite, default=0.0)),
            nothing=-math.inf in values,
            infinite=math.inf in values,
        )

    @property
    def step(self) -> int:
        """Decades between two ticks."""
        return next((s for s in _STEPS if (self.high - self.low) / s <= _MOST_TICKS), 1000)

    @property
    def floor(self) -> float:
        """Where nothing is drawn."""
        return (math.floor(self.low / self.step) - 1) * self.step if self.nothing else self.low

    @property
    def ceiling(self) -> float:
        """Where infinity is drawn."""
        return (math.ceil(self.high / self.step) + 1) * self.step if self.infinite else self.high

    @property
    def bottom(self) -> float:
        """The lower edge of the picture, with room for a label."""
        return self.floor - 0.1 * (self.ceiling - self.floor)

    @property
    def top(self) -> float:
        """The upper edge of the picture, with room for a label above the curves."""
        return self.ceiling + 0.18 * (self.ceiling - self.floor)

    @property
    def height(self) -> float:
        """Decades from edge to edge."""
        return self.top - self.bottom

    def clip(self, row: Iterable[float]) -> list[float]:
        """The row with infinities where they are drawn; NaN stays a gap."""
        return [min(max(value, self.floor), self.ceiling) if not math.isnan(value) else value for value in row]

    def ticks(self) -> tuple[list[float], list[str]]:
        """Where the ticks stand and what they say."""
        within = range(math.ceil(self.low / self.step), math.floor(self.high / self.step) + 1)
        ticks = {float(i * self.step): self._say(i * self.step) for i in within}
        if self.nothing:
            ticks[self.floor] = "nothing"
        if self.infinite:
            ticks[self.ceiling] = "infinite"
        return list(ticks), list(ticks.values())

    def _say(self, decades: int) -> str:
        words = _WORDS if self.step % 3 else _WORDS | _BY_THREES
        return words.get(decades, f"1e{decades}" if decades < 0 else f"1e{decades} times")
