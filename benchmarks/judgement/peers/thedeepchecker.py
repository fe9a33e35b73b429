"""TheDeepChecker (Ben Braiek and Khomh, TOSEM 2023): properties of kernels and neurons, every tenth iteration.

Two peers: ``thedeepchecker`` holds what it says of gradients, updates, dead and saturated neurons;
``thedeepchecker-all`` adds the spread of activations and the rates of change ("slow", "fast"), which ring on most fits.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

import torch
from torch import Tensor, nn

from .base import Observed, Peer
from .eyes import RECTIFIERS, SIGMOIDAL, by_unit

EVERY, WINDOW = 10, 5
VANISHED, FALLING = 1e-6, 0.5
EXPLODED, RISING = 1e6, 2.0
DIVERGED = 1e8
DEAD, PERCENTILE, MANY, SATURATED, BINS = 1e-5, 0.95, 0.5, 0.85, 50
SLOW, FAST = -4.0, -1.0
SPREAD, F_LIMIT = (0.5, 2.0), 2.70554
_MOST = 256  # rows kept of each batch in the buffer of ten


def vanishing(means: list[float]) -> bool:
    """From mean absolute gradients of consecutive iterations, newest last."""
    return means[-1] < VANISHED or _all_ratios(means, lambda ratio: ratio <= FALLING)


def exploding(means: list[float]) -> bool:
    return means[-1] > EXPLODED or _all_ratios(means, lambda ratio: ratio >= RISING)


def diverging(means: list[float]) -> bool:
    """The same for mean absolute weights."""
    return means[-1] > DIVERGED or _all_ratios(means, lambda ratio: ratio >= RISING)


def _all_ratios(means: list[float], holds) -> bool:
    last = means[-WINDOW:]
    ratios = [after / before for before, after in pairwise(last) if before > 0]
    return len(ratios) == WINDOW - 1 and all(map(holds, ratios))


def dead_share(outputs: Tensor) -> float:
    """Share of neurons (rows) of which 95 % of |activation| lie below 1e-5: the 95th percentile does."""
    return ((outputs.abs() < DEAD).float().mean(1) >= PERCENTILE).double().mean().item()


def saturation(neurons: Tensor, low: float, high: float) -> Tensor:
    """Rakitianskaia and Engelbrecht's rho_B of each neuron (a row): 0 in the middle of the range, 1 at its ends."""
    values = neurons.double()
    index = ((values - low) / (high - low) * BINS).long().clamp(0, BINS - 1)
    empty = torch.zeros(len(values), BINS, dtype=torch.float64)
    counts = empty.scatter_add(1, index, torch.ones_like(values))
    means = empty.scatter_add(1, index, values) / counts.clamp_min(1)
    return (counts * (2 * (means - low) / (high - low) - 1).abs()).sum(1) / counts.sum(1)


def saturated_share(outputs: Tensor, module: nn.Module) -> float:
    low, high = (-1.0, 1.0) if isinstance(module, nn.Tanh) else (0.0, 1.0)
    return (saturation(outputs, low, high) > SATURATED).double().mean().item()


def spread_fails(output: Tensor) -> bool:
    """The deviation lies outside [0.5, 2] and the F ratio against the nearer bound is above the limit."""
    deviation = output.double().std().item()
    if SPREAD[0] <= deviation <= SPREAD[1]:
        return False
    bound = SPREAD[0] if deviation < SPREAD[0] else SPREAD[1]
    ratio = (deviation / bound) ** 2
    return max(ratio, 1 / max(ratio, 1e-30)) > F_LIMIT


class TheDeepChecker(Peer):
    """Vanishing, exploding, diverging, untrained, dead, saturated."""

    name = "thedeepchecker"

    def __init__(self) -> None:
        super().__init__()
        self._gradients: dict[str, list[float]] = {}
        self._weights: dict[str, list[float]] = {}
        self._changes: dict[str, list[float]] = {}
        self._outputs: dict[str, deque[Tensor]] = {}
        self._modules: dict[str, nn.Module] = {}

    def judge(self, seen: Observed) -> list[str]:
        self._remember(seen)
        if seen.step < EVERY or seen.step % EVERY:
            return []
        return [word for word, true in self.truths(seen).items() if true]

    def truths(self, seen: Observed) -> dict[str, bool]:
        changes = self.mean_changes()
        shares = [(self._modules[name], torch.cat(list(rows), 1)) for name, rows in self._outputs.items()]
        return {
            "vanishing": any(map(vanishing, self._gradients.values())),
            "exploding": any(map(exploding, self._gradients.values())) or any(map(diverging, self._weights.values())),
            "stalled": any(change == float("-inf") for change in changes),
            "dead_units": any(dead_share(out) > MANY for module, out in shares if isinstance(module, RECTIFIERS)),
            "saturation": any(
                saturated_share(out, module) > MANY for module, out in shares if isinstance(module, SIGMOIDAL)
            ),
        }

    def mean_changes(self) -> list[float]:
        """Of each kernel: log10 of mean |update| over mean |weight|, averaged over ten iterations."""
        return [sum(values[-EVERY:]) / len(values[-EVERY:]) for values in self._changes.values()]

    def _remember(self, seen: Observed) -> None:
        gradients, weights, updates = (seen.means(of) for of in ("gradients", "weights", "updates"))
        for name in seen.kernels():
            self._gradients.setdefault(name, []).append(gradients[name])
            self._weights.setdefault(name, []).append(weights[name])
            change = updates[name] / max(weights[name], 1e-30)
            self._changes.setdefault(name, []).append(math.log10(change) if change > 0 else -math.inf)
        for name, (module, out) in seen.left.items():
            if isinstance(module, RECTIFIERS + SIGMOIDAL) and out.numel():
                kept = self._outputs.setdefault(name, deque(maxlen=EVERY))
                self._modules[name] = module
                kept.append(by_unit(out)[:, :_MOST].float())
                if kept[0].shape[0] != kept[-1].shape[0]:  # the layer was called on something else
                    kept.clear()


class TheDeepCheckerAll(TheDeepChecker):
    """The same, the spread of activations and kernels that change too slowly or too fast."""

    name = "thedeepchecker-all"

    def truths(self, seen: Observed) -> dict[str, bool]:
        truths = super().truths(seen)
        changes = self.mean_changes()
        hidden = [out for module, out in seen.left.values() if isinstance(module, RECTIFIERS + SIGMOIDAL)]
        truths["stalled"] |= any(change < SLOW for change in changes)
        truths["exploding"] |= any(change > FAST for change in changes)
        truths["initialization"] = any(map(spread_fails, hidden))
        return truths
