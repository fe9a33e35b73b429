"""Whether a number has left its own baseline: its running level and spread, in decades.

Plain numbers, a few a number watched, so that they fit into a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

# A number has left its level when it is this far off, in decades, and as many times farther off than it usually is.
MARGIN = 1.0
TIMES = 6.0
# Of new readings in the level (forgets within some 20 readings) and in the spread (some 100: few readings would
# underestimate it), once there are more than 1 / weight.
_LEVEL, _SPREAD = 0.1, 0.02
# The spread that is assumed of a number that is new, as a share of its margin, and for how many readings that counts.
_ASSUMED, _FOR = 0.25, 10
# Readings before a baseline is believed; twice as many after each time that it was left, up to the last.
_NEEDED, _MOST = 4, 64


@dataclass
class Baseline:
    """Level and spread of the log10 of one number that is not negative.

    Example:
        >>> baseline = Baseline()
        >>> [baseline.takes(value) for value in (1.0, 1.2, 0.9, 1.1, 1.0, 0.004)]
        [False, False, False, False, False, True]
    """

    margin: float = MARGIN  # decades
    fears_zero: bool = True  # whether 0 is news
    level: float = 0.0
    spread: float = -1.0
    count: int = 0  # readings in a row that made the level
    needed: int = _NEEDED
    broken: bool = False  # whether the last reading was not finite

    def __post_init__(self) -> None:
        if self.spread < 0:
            self.spread = self.margin * _ASSUMED

    def takes(self, value: float) -> bool:
        """Take one more reading; whether it left the baseline."""
        left = self.is_left_by(value)
        self.restart(value) if left else self.learn(value)
        return left

    def is_left_by(self, value: float) -> bool:
        """Whether this reading is news: far off, not finite for the first time, or 0 where it was not."""
        if not math.isfinite(value):
            return self.count > 0 and not self.broken
        if self.count < self.needed:
            return False
        if value <= 0:
            return self.fears_zero and value == 0
        return abs(math.log10(value) - self.level) > max(self.margin, TIMES * self.spread)

    def learn(self, value: float) -> None:
        """Let the level and the spread follow."""
        self.broken = not math.isfinite(value)
        if self.broken or value <= 0:
            self.count = 0
            return
        off = math.log10(value) - self.level
        self.count += 1
        if self.count == 1:
            self.level = math.log10(value)
            return
        self.spread += max(_SPREAD, 1 / (self.count + _FOR)) * (abs(off) - self.spread)
        self.level += max(_LEVEL, 1 / self.count) * off

    def restart(self, value: float) -> None:
        """Begin again where the number is now: it has left, and that has been told."""
        self.needed = min(2 * self.needed, _MOST)
        self.count = 0
        self.learn(value)


@dataclass
class Baselines:
    """The baselines of several numbers, each by its name.

    Example:
        >>> baselines = Baselines()
        >>> any(baselines.left_by({"first": 1e-3, "last": 1.0}) for _ in range(9))
        False
        >>> baselines.left_by({"first": 1e-9, "last": 1.0})
        ['first']
    """

    known: dict[str, Baseline] = field(default_factory=dict[str, Baseline])

    def left_by(self, readings: Mapping[str, float], **kind: Any) -> list[str]:
        """The names of those that have just left their baselines; all others learn.

        Those that left keep their baselines until ``restart`` is told of them: if nobody could look, they have still
        left at the next reading.

        Args:
            readings: name -> number.
            kind: the fields of baselines that are new.
        """
        left: list[str] = []
        for name, value in readings.items():
            baseline = self.known.get(name)
            if baseline is None:
                baseline = self.known[name] = Baseline(**kind)
            if baseline.is_left_by(value):
                left.append(name)
            else:
                baseline.learn(value)
        return left

    def restart(self, readings: Mapping[str, float], names: Iterable[str]) -> None:
        """Begin again with these names, at these numbers."""
        for name in names:
            self.known[name].restart(readings[name])

    def state(self) -> dict[str, list[Any]]:
        """All of it, as JSON data."""
        return {name: list(astuple(baseline)) for name, baseline in self.known.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave.

        Raises:
            TypeError, ValueError: the data is damaged.
        """
        self.known = {str(name): Baseline(*_checked(values)) for name, values in state.items()}


_TYPES = (float, bool, float, float, int, int, bool)  # of the fields of a baseline


def _checked(values: Any) -> Iterator[Any]:
    return (kind(value) for kind, value in zip(_TYPES, values, strict=True))
