"""Learning rates that are multiplied by a factor at every step: a constant, a staircase, a ramp, or one that is earned.

No scheduler, checkpoint or line of the user's ever meets the factor (``rate_scale``).
"""

from __future__ import annotations

import math
import statistics
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

from lightning_gradwatch.remedies.rate_scale import RateScale
from lightning_gradwatch.remedies.surgery.at_step import AtStep, Within
from lightning_gradwatch.remedies.surgery.gradients import gradients_of, norm_of, unit

# How far above its own median a gradient norm is no longer noise: the norms of a steady fit stay within a factor of 3.
BEYOND = 10.0
REMEMBERED, ENOUGH = 100, 20  # norms that the median is taken of, and from how many on it says something


class Rates(AtStep):
    """The rates of an optimizer times a constant.

    Args:
        told: the treatment that it belongs to.
        factor: what the rates are multiplied by.
        floor: a rate is never scaled below it.
        only: the groups that are meant; None: all.
    """

    def __init__(self, told: str, factor: float, floor: float = 0.0, only: Within | None = None) -> None:
        super().__init__(told)
        self.scale, self._only = RateScale(factor, floor, only), only
        self.steps = 0  # that were begun

    def attach(self, optimizer: Any) -> None:
        """Before the scale, which so takes the factor of this step."""
        super().attach(optimizer)
        self.scale.attach([optimizer])

    def detach(self) -> None:
        """With clean rates."""
        super().detach()
        self.scale.detach()

    def follow(self, twins: Mapping[int, int]) -> None:
        """The groups that are meant are those of the copy."""
        self._only = self._only and Within({twins.get(one, one) for one in self._only.ids})
        self.scale = RateScale(self.scale.factor, self.scale.floor, self._only)

    def begins(self, optimizer: Any) -> None:
        """Choose the factor of this step."""
        self.scale.factor = max(self.factor(), sys.float_info.min)
        self.steps += 1

    def factor(self) -> float:
        """The factor of the step that begins, of which ``steps`` came before."""
        return self.scale.factor

    def state_dict(self) -> dict[str, Any]:
        """Factor and steps."""
        return {"factor": self.scale.factor, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        self.scale.factor, self.steps = float(state["factor"]), int(state["steps"])


class Staircase(Rates):
    """One more ``drop`` after every so many steps: drop ** (steps // every)."""

    def __init__(self, told: str, drop: float, every: int, floor: float = 0.0, only: Within | None = None) -> None:
        super().__init__(told, 1.0, floor, only)
        self.drop, self.every = drop, every

    def factor(self) -> float:
        """From the count of steps alone."""
        return self.drop ** (self.steps // self.every)


class Ramp(Rates):
    """From ``first`` in a straight line to 1, which the step after ``length`` is the first to get."""

    def __init__(self, told: str, first: float, length: int, only: Within | None = None) -> None:
        super().__init__(told, first, 0.0, only)
        self.first, self.length = first, length

    def factor(self) -> float:
        """From the count of steps alone."""
        done = min(1.0, self.steps / self.length)
        return self.first + (1 - self.first) * done if done < 1 else 1.0


class OnPlateau(Rates):
    """One more ``drop`` whenever the mean loss of ``window`` batches is not below the best of the windows before."""

    def __init__(self, told: str, drop: float, window: int, floor: float = 0.0, only: Within | None = None) -> None:
        super().__init__(told, 1.0, floor, only)
        self.drop, self.window = drop, window
        self.best, self.sum, self.count = math.inf, 0.0, 0

    def sees(self, loss: Any, mean: Any) -> None:
        """A batch is over.

        Args:
            loss: a 0-d tensor, which is read once in a window.
            mean: from such a tensor to its mean over all ranks.
        """
        self.sum, self.count = self.sum + loss, self.count + 1
        if self.count < self.window:
            return
        now, self.sum, self.count = mean(self.sum) / self.window, 0.0, 0
        if math.isinf(self.best) or now < self.best - 1e-4 * abs(self.best):  # as torch's ReduceLROnPlateau
            self.best = now if math.isfinite(now) else self.best
        else:
            self.scale.scale(self.drop)

    def state_dict(self) -> dict[str, Any]:
        """And how far the window has come."""
        return {**super().state_dict(), "best": self.best, "sum": float(self.sum), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        super().load_state_dict(state)
        self.best, self.sum, self.count = state["best"], state["sum"], state["count"]


class OnNoise(Rates):
    """One more ``drop`` when a gradient norm is not finite or ten times the median of the last hundred; then a rest."""

    def __init__(self, told: str, drop: float, rest: int, floor: float = 0.0, only: Within | None = None) -> None:
        super().__init__(told, 1.0, floor, only)
        self.drop, self.rest = drop, rest
        self.norms: deque[float] = deque(maxlen=REMEMBERED)
        self.resting = 0

    def moves(self, optimizer: Any) -> None:
        """This step is the first to get the new factor."""
        gradients = gradients_of(optimizer)
        if not gradients:
            return
        norm = float(norm_of(gradients)) / float(unit(optimizer))  # waits for the device
        wild = not math.isfinite(norm) or (len(self.norms) >= ENOUGH and norm > BEYOND * statistics.median(self.norms))
        if wild and self.resting <= 0:
            self.scale.factor = max(self.scale.factor * self.drop, sys.float_info.min)
            self.scale.put_in(optimizer)
            self.resting = self.rest
        else:
            self.resting -= 1
        if not wild:
            self.norms.append(norm)

    def state_dict(self) -> dict[str, Any]:
        """And the norms."""
        return {**super().state_dict(), "norms": list(self.norms), "resting": self.resting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        super().load_state_dict(state)
        self.norms, self.resting = deque(state["norms"], REMEMBERED), state["resting"]
