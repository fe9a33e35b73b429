"""What wakes the watch between scheduled steps: numbers that leave their baselines, and symptoms not yet confirmed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lightning_gradwatch.measure.vigil import EVERY, Look
from lightning_gradwatch.measure.waking import Waking
from lightning_gradwatch.records.baseline import Baselines

# A loss is less noisy than a gradient, crosses 0 where it is a log-likelihood or a game, and should get small.
_LOSS = {"margin": 0.7, "fears_zero": False}


@dataclass
class Wakefulness:
    """The memory behind it, small and plain: a fit that is resumed wakes on the same steps.

    Example:
        >>> wakefulness = Wakefulness()
        >>> for step in range(0, 50, 5):
        ...     wakefulness.hears(step, [Look(0, {"0": 1e-8 if step == 45 else 0.2, "9": 0.5})])
        >>> wakefulness.waking.due(46)
        True
    """

    waking: Waking = field(default_factory=Waking)
    gradients: Baselines = field(default_factory=Baselines)
    losses: Baselines = field(default_factory=Baselines)
    last: int = -1  # the last step that was looked at
    carried: list[Look] = field(default_factory=list[Look])  # seen, and not yet heard of

    def looks_at(self, step: int) -> bool:
        """Whether the vigil looks at this step: one in five, or the next one that the optimizer makes."""
        return step // EVERY > self.last // EVERY

    def hears(self, step: int, looks: Iterable[Look]) -> None:
        """Judge what the vigil saw, and wake if a number has left its baseline.

        Args:
            step: the step at hand.
            looks: what is known by now.
        """
        self.last = step
        losses: dict[str, float] = {}
        gradients: dict[str, float] = {}
        for look in looks:
            (losses if look.optimizer < 0 else gradients).update(_watched(look))
        left = self.gradients.left_by(gradients), self.losses.left_by(losses, **_LOSS)
        if any(left) and self.waking.wake(step):
            self.gradients.restart(gradients, left[0])
            self.losses.restart(losses, left[1])

    def hears_broken(self, step: int, name: str, loss: float) -> bool:
        """Hear of a loss that is not finite, before its backward; whether that wakes the watch for this very step."""
        left = self.losses.left_by({name: loss}, **_LOSS)
        if not left or not self.waking.wake(step):
            return False
        self.losses.restart({name: loss}, left)
        return True

    def state(self) -> dict[str, Any]:
        """All of it, as JSON data."""
        return {
            "waking": self.waking.state(),
            "gradients": self.gradients.state(),
            "losses": self.losses.state(),
            "last": self.last,
            "carried": [[look.optimizer, look.numbers, look.is_true] for look in self.carried],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.waking.restore(state["waking"])
        self.gradients.restore(state["gradients"])
        self.losses.restore(state["losses"])
        self.last = int(state["last"])
        self.carried = [
            Look(int(place), {str(name): float(number) for name, number in numbers.items()}, bool(is_true))
            for place, numbers, is_true in state["carried"]
        ]


def _watched(look: Look) -> dict[str, float]:
    """The numbers that have baselines: losses; the largest gradient, and each of the others relative to it.

    So what changes the scale of all is one number that moves, and what changes the flow others, without the noise that
    all gradients share.
    """
    if look.optimizer < 0:
        return look.numbers
    norms, name = look.numbers.values(), f"optimizer[{look.optimizer}]"
    broken = [norm for norm in norms if not math.isfinite(norm)]
    if broken:
        return {name: broken[0]} if look.is_true else {}  # times a scale that was too large: the scaler lowers it
    largest = max(norms, default=0.0)
    watched = {name: largest} if look.is_true and look.numbers else {}
    if largest > 0:
        watched |= {f"{name}.{place}": norm / largest for place, norm in look.numbers.items()}
    return watched
