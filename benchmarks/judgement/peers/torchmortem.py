"""torchmortem 0.1.1: judged once, when the fit is over, on the second half of its steps.

Two peers: ``torchmortem`` holds its rules about gradients; ``torchmortem-all`` adds update ratios, dead and saturated
units and the loss.  As written, "dead" rings on a ReLU that is 0 for a little more than half of its inputs, and
"saturated" on any module whose outputs are mostly larger than 0.95, logits too.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from torch import Tensor, nn

from .base import Observed, Peer

VANISHING, NOTHING = 100.0, 1e-30
STALL, STALL_SHARE = 1e-8, 0.3
SMALL_UPDATE, LARGE_UPDATE = 1e-5, 1e-1
EXPLODING = 1000.0
NEAR_ZERO, NEAR_ONE, HALF = 1e-6, 0.95, 0.5
DIVERGENCE, RISING, GROWTH, PLATEAU = 20, 0.8, 1.5, 1e-5


def vanishing(means: list[float]) -> bool:
    """From mean norms at the module outputs in the order of registration: the last over the first."""
    return len(means) > 1 and means[-1] >= NOTHING and means[-1] / max(means[0], NOTHING) >= VANISHING


def stalled(norms: list[float]) -> bool:
    return sum(norm < STALL for norm in norms) >= STALL_SHARE * len(norms)


def mostly_dead(output: Tensor) -> bool:
    return (output.abs() < NEAR_ZERO).double().mean().item() > HALF


def mostly_saturated(output: Tensor) -> bool:
    """Of any module's output: that is how the rule is written."""
    return (output.abs() > NEAR_ONE).double().mean().item() > HALF


def diverging(losses: list[float]) -> bool:
    last = losses[-DIVERGENCE:]
    rising = sum(after > before for before, after in pairwise(last))
    return len(last) == DIVERGENCE and rising >= RISING * (DIVERGENCE - 1) and last[-1] >= GROWTH * last[0]


def plateau(losses: list[float]) -> bool:
    last = losses[-DIVERGENCE:]
    mean = sum(last) / max(1, len(last))
    return len(last) == DIVERGENCE and (max(last) - min(last)) / max(abs(mean), NOTHING) < PLATEAU


class TorchMortem(Peer):
    """Vanishing, exploding, stalled and not finite."""

    name = "torchmortem"

    def __init__(self) -> None:
        super().__init__()
        self._deltas: list[dict[str, float]] = []
        self._order: list[str] = []
        self._broken = False

    def judge(self, seen: Observed) -> list[str]:
        self._order = self._order or (list(self._eyes.names.values()) if self._eyes else list(seen.left))
        self._deltas.append(dict(seen.deltas))
        self._broken |= not seen.is_finite()
        return []

    def conclude(self) -> list[str]:
        return [word for word, true in self.truths().items() if true]

    def truths(self) -> dict[str, bool]:
        late = self._deltas[len(self._deltas) // 2 :]
        norms = {name: [d[name] for d in late if name in d] for name in self._order}
        norms = {name: values for name, values in norms.items() if values}
        return {
            "vanishing": vanishing([sum(values) / len(values) for values in norms.values()]),
            "exploding": any(max(values) > EXPLODING for values in norms.values()),
            "stalled": any(map(stalled, norms.values())),
            "nonfinite": self._broken,
        }


class TorchMortemAll(TorchMortem):
    """The same, update ratio, dead, saturated, divergence and plateau of the loss."""

    name = "torchmortem-all"

    def __init__(self) -> None:
        super().__init__()
        self._ratios: dict[str, list[float]] = {}
        self._dead: dict[str, list[bool]] = {}
        self._saturated: dict[str, list[bool]] = {}
        self._losses: list[float] = []

    def judge(self, seen: Observed) -> list[str]:
        self._losses.extend([seen.loss] if seen.loss is not None else [])
        weights = seen.norms("weights")
        for name, update in seen.norms("updates").items():
            if weights[name] > 0:
                self._ratios.setdefault(name, []).append(update / weights[name])
        for name, (module, out) in seen.left.items():
            if isinstance(module, nn.ReLU):
                self._dead.setdefault(name, []).append(mostly_dead(out))
            self._saturated.setdefault(name, []).append(mostly_saturated(out))
        return super().judge(seen)

    def truths(self) -> dict[str, bool]:
        truths = super().truths()
        ratios = [median(values[len(values) // 2 :]) for values in self._ratios.values()]
        truths["exploding"] |= any(ratio > LARGE_UPDATE for ratio in ratios)
        truths["stalled"] |= any(ratio < SMALL_UPDATE for ratio in ratios)
        return {
            **truths,
            "dead_units": _in_most(self._dead),
            "saturation": _in_most(self._saturated),
            "loss": diverging(self._losses) or plateau(self._losses),
        }


def _in_most(told: dict[str, list[bool]]) -> bool:
    """Whether it holds in more than half of the later steps, for any layer."""
    return any(sum(v[len(v) // 2 :]) > HALF * len(v[len(v) // 2 :]) for v in told.values())
