"""When to measure: dense at the start, then at distances that grow, then every so many steps."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_gradwatch import arguments


@dataclass(frozen=True)
class Schedule:
    """Which steps are measured.

    Every step below ``dense``; then the steps 2^(k/2) rounded (11, 16, 23, 32, 45 ...) until they are
    ``every_n_steps`` apart; then the multiples of ``every_n_steps``.  What happens in between wakes the watch
    (``waking.py``).

    Raises:
        WrongArgument: a number is not a whole one, or too small.

    Example:
        >>> [step for step in range(120) if Schedule(every_n_steps=50).due(step)]
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 23, 32, 45, 50, 100]
    """

    every_n_steps: int = 100
    dense: int = 10

    def __post_init__(self) -> None:
        arguments.whole("every_n_steps", self.every_n_steps, 1)
        arguments.whole("dense", self.dense, 0)

    def due(self, step: int) -> bool:
        """Whether this step is measured."""
        if step < self.dense or step % self.every_n_steps == 0:
            return True
        return step < self.every_n_steps and step in _growing(step)


def _growing(near: int) -> set[int]:
    """The steps of the growing part in the neighbourhood of one step."""
    octave = near.bit_length() * 2
    return {round(2 ** (k / 2)) for k in range(octave - 4, octave + 2)}
