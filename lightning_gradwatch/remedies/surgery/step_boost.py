"""Larger steps for layers whose updates lag behind those of the others."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gradwatch.remedies.surgery.at_step import AtStep


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


class StepBoost(AtStep):
    """Measures the updates that an optimizer makes to layers, and makes those larger that lag behind.

    The step is enlarged after the optimizer has made it, ``w + boost * (w_new - w)``: schedulers, momenta, weight decay
    and checkpoints meet nothing new.  The boosts are measured over a window of the optimizer's own steps, and again
    over every window after it.

    Args:
        told: the treatment that it belongs to.
        layers: layer -> its parameters, all of them the optimizer's.
        strength: as in ``boosts_of``.
        most: as in ``boosts_of``.
        window: steps.
    """

    def __init__(
        self, told: str, layers: Mapping[str, Sequence[nn.Parameter]], strength: float, most: float, window: int
    ) -> None:
        super().__init__(told)
        self._layers = dict(layers)
        self._strength, self._most, self._window = strength, most, window
        self.boosts = dict.fromkeys(layers, 1.0)
        self._sums: dict[str, Tensor | float] = dict.fromkeys(layers, 0.0)
        self._steps = 0
        self._old: dict[str, list[Tensor]] = {}

    def attach(self, optimizer: Any) -> None:
        """Before and after every step."""
        super().attach(optimizer)
        self._handles.append(optimizer.register_step_post_hook(self._stepped))

    @torch.no_grad()
    def begins(self, optimizer: Any) -> None:
        """Remember the weights."""
        self._old = {name: [p.detach().clone() for p in own] for name, own in self._layers.items()}

    def state_dict(self) -> dict[str, Any]:
        """What was measured."""
        sums = {name: float(total) for name, total in self._sums.items()}
        return {"boosts": dict(self.boosts), "sums": sums, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, for the layers that are still here."""
        for name in self._layers:
            self.boosts[name] = float(state.get("boosts", {}).get(name, 1.0))
            self._sums[name] = float(state.get("sums", {}).get(name, 0.0))
        self._steps = int(state.get("steps", 0))

    @torch.no_grad()
    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        old, self._old = self._old, {}
        for name, weights in old.items():
            moves = [p - weight for p, weight in zip(self._layers[name], weights, strict=True)]
            self._sums[name] = self._sums[name] + _ratio(moves, weights)
            if self.boosts[name] != 1:
                for parameter, move in zip(self._layers[name], moves, strict=True):
                    parameter.add_(move, alpha=self.boosts[name] - 1)
        self._steps += 1
        if self._steps % self._window == 0:
            ratios = {name: float(total) / self._window for name, total in self._sums.items()}
            self.boosts = boosts_of(ratios, self._strength, self._most)
            self._sums = dict.fromkeys(ratios, 0.0)


def _ratio(moves: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Size of the updates beside the weights, without waiting for the device; 0 for weights that are all 0."""
    size = _size(weights)
    return torch.where(size > 0, _size(moves) / size, 0.0)


def _size(tensors: Sequence[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(t).float() for t in tensors]))
