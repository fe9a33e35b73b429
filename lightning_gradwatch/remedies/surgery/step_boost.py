"""Larger steps for layers whose updates lag behind those of the others."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def boosts_of(ratios: Mapping[str, float], strength: float, most: float) -> dict[str, float]:
    """How much larger the step of each layer is to be: ``(median / ratio) ** strength``, from 1 to ``most``.

    Layers that do not move at all (ratio 0) are not counted and not helped: there is nothing to make larger.

    Args:
        ratios: layer -> size of its update relative to its weights.
        strength: 1 lifts a layer to the median, 0.5 half of the way there in decades.
        most: the largest factor.

    Example:
        >>> boosts_of({"first": 1e-5, "second": 1e-3, "head": 1e-2, "dead": 0.0}, strength=1.0, most=50.0)
        {'first': 50.0, 'second': 1.0, 'head': 1.0, 'dead': 1.0}
    """
    moving = [ratio for ratio in ratios.values() if ratio > 0]
    middle = statistics.median(moving) if moving else 0.0
    return {name: min(max((middle / r) ** strength, 1.0), most) if r > 0 else 1.0 for name, r in ratios.items()}


class StepBoost:
    """Hooks on an optimizer that measure the updates of layers, and make those larger that lag behind.

    The step is enlarged after the optimizer has made it, ``w + boost * (w_new - w)``: schedulers, momenta, weight decay
    and checkpoints meet nothing new.  The boosts are measured over a window of steps, on the optimizer's own steps, and
    again over every window after it.

    Args:
        layers: layer -> its parameters.
        strength: as in ``boosts_of``.
        most: as in ``boosts_of``.
        window: steps.
        state: what ``state`` of the interrupted fit was; None: a new fit.
    """

    def __init__(
        self,
        layers: Mapping[str, Sequence[nn.Parameter]],
        strength: float,
        most: float,
        window: int,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._layers = dict(layers)
        self._strength, self._most, self._window = strength, most, window
        known: Mapping[str, Any] = state or {}
        self.boosts = {name: float(known.get("boosts", {}).get(name, 1.0)) for name in layers}
        self._sums: dict[str, Tensor | float] = {name: known.get("sums", {}).get(name, 0.0) for name in layers}
        self._steps = int(known.get("steps", 0))
        self._old: dict[int, Tensor] = {}

    def attach(self, optimizers: Iterable[Any]) -> None:
        """Hang the hooks on; the last optimizer of a step that moves these layers counts it."""
        for optimizer in optimizers:
            optimizer.register_step_pre_hook(self._before)
            optimizer.register_step_post_hook(self._after)

    def state(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {
            "boosts": dict(self.boosts),
            "sums": {name: float(total) for name, total in self._sums.items()},
            "steps": self._steps,
        }

    @torch.no_grad()
    def _before(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self._old = {id(p): p.detach().clone() for ps in self._layers.values() for p in ps if id(p) in held}

    @torch.no_grad()
    def _after(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        old, self._old = self._old, {}
        for name, parameters in self._layers.items():
            here = [p for p in parameters if id(p) in old]
            if not here:
                continue
            moves = [p - old[id(p)] for p in here]
            before = torch.linalg.vector_norm(_norms([old[id(p)] for p in here]))
            ratio = torch.linalg.vector_norm(_norms(moves)) / before
            self._sums[name] = self._sums[name] + torch.where(before > 0, ratio, torch.zeros_like(ratio)).double()
            if self.boosts[name] != 1:
                torch._foreach_add_(here, moves, alpha=self.boosts[name] - 1)
        self._count()

    def _count(self) -> None:
        self._steps += 1
        if self._steps % self._window == 0:
            ratios = {name: float(total) / self._window for name, total in self._sums.items()}
            self.boosts = boosts_of(ratios, self._strength, self._most)
            self._sums = dict.fromkeys(ratios, 0.0)


def _norms(tensors: list[Tensor]) -> Tensor:
    return torch.stack([norm.float() for norm in torch._foreach_norm(tensors)])
