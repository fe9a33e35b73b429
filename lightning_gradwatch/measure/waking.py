"""Steps that are measured beyond the schedule, because something happened: how many, and within what budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

# Steps that are measured after a reason to: enough for the most patient detector, and a few that may not count.
LENGTH = 10
# One step in so many may be measured so in the long run: a noisy fit cannot make itself expensive.
ONE_IN = 10
# What may be saved up, and what a fit begins with: twice a full length at once.
_SAVED = 2 * LENGTH * ONE_IN


@dataclass
class Waking:
    """Which steps are measured beyond the schedule; a function of what it is told, so that all ranks have the same.

    Two reasons: a number has left its baseline, and the judge sees a symptom that is not a finding yet.  The first is
    looked at for a fixed number of steps; the second until it is a finding or gone, and no longer than that.

    Example:
        >>> waking = Waking()
        >>> waking.wake(5_000)
        True
        >>> [step for step in range(5_001, 5_050) if waking.due(step)] == list(range(5_001, 5_011))
        True
    """

    credit: int = _SAVED  # in steps / ONE_IN
    counted: int = 0  # the step up to which credit was given
    until: int = -1  # the last step that is measured because a number left its baseline
    alert_until: int = -1  # the last one that is measured because of a symptom

    def due(self, step: int) -> bool:
        """Whether this step is measured."""
        if step > self.until and step > self.alert_until:  # nearly always
            return False
        self._earn(step)
        return self.credit >= ONE_IN

    def wake(self, step: int) -> bool:
        """Measure the steps after this one; False if there is no credit left for them."""
        self._earn(step)
        awake = max(0, self.until - step)
        if self.credit < LENGTH * ONE_IN:
            return awake > 0
        self.until = step + LENGTH
        return True

    def attend(self, step: int, suspicious: bool) -> None:
        """Hear whether the step just measured shows a symptom that no open finding tells of.

        Args:
            step: the step.
            suspicious: whether it does.
        """
        self._earn(step)
        if not suspicious:
            self.alert_until = -1
        elif self.alert_until < 0 and self.credit >= LENGTH * ONE_IN:
            self.alert_until = step + LENGTH
        elif step >= self.alert_until:
            self.alert_until = -1  # long enough: it is neither a finding nor gone

    def spend(self) -> None:
        """A step is measured that the schedule did not plan."""
        self.credit -= ONE_IN

    def refund(self) -> None:
        """It was none after all."""
        self.credit += ONE_IN

    def _earn(self, step: int) -> None:
        self.credit = min(_SAVED, self.credit + max(0, step - self.counted))
        self.counted = step

    def state(self) -> dict[str, int]:
        """All of it, as JSON data."""
        return asdict(self)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        for each in fields(self):
            setattr(self, each.name, int(state[each.name]))
