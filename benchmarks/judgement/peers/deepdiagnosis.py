"""DeepDiagnosis (Wardat et al., ICSE 2022): asked at the end of an epoch, stops at its first hit, names a fix.

It sees layers called dense, here every ``nn.Linear``.  Left out: its "poor weight" branch, which can never fire in the
released code, and its range check of the output against the labels, which needs the labels' range.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Observed, Peer
from .eyes import RECTIFIERS, SIGMOIDAL

VANISHING = 1e-7
DEAD, SATURATED, FAR = 0.7, 0.5, 5.0
SATURATION_EVERY, EQUAL, EQUAL_ACCURACIES = 5, 5, 20  # epochs
GOOD_RATE = (1e-5, 1e-1)  # of lr |g| / |w|


def vanishing(mean_gradient: float) -> bool:
    """From the mean absolute value of one kernel's gradient."""
    return mean_gradient < VANISHING


def numerical(tensor: Tensor) -> bool:
    """The mean is NaN, inf or exactly 0."""
    mean = tensor.double().mean().item()
    return mean == 0 or mean - mean != 0


def dead(output: Tensor) -> bool:
    return (output <= 0).double().mean().item() >= DEAD


def saturated(entered: Tensor) -> bool:
    return (entered.abs() >= FAR).double().mean().item() > SATURATED


def bad_rate(rate: float, gradient: float, weight: float) -> bool:
    """From two norms: whether a plain step would be out of proportion."""
    return not GOOD_RATE[0] <= rate * gradient / max(weight, 1e-30) <= GOOD_RATE[1]


class DeepDiagnosis(Peer):
    """Vanishing, numerical error, dead, saturated, unchanged; then one fix by a tree."""

    name = "deepdiagnosis"

    def __init__(self) -> None:
        super().__init__()
        self._means: dict[str, list[float]] = {}
        self._accuracies: list[float] = []

    def judge(self, seen: Observed) -> list[str]:
        if self.alarms or seen.step % self.epoch_length != self.epoch_length - 1:
            return []  # it has stopped the fit, or waits for the end of an epoch
        epoch = seen.step // self.epoch_length
        dense = [name for name, (module, _) in seen.left.items() if isinstance(module, nn.Linear)]
        truths = {
            "vanishing": any(vanishing(seen.means("gradients")[w]) for w in self._weights(dense, seen)),
            "nonfinite": any(map(numerical, self._tensors(dense, seen))),
            "dead_units": epoch >= self.epochs - 1
            and any(dead(out) for module, out in seen.left.values() if isinstance(module, RECTIFIERS)),
            "saturation": epoch % SATURATION_EVERY == 0 and any(map(saturated, self._entering_sigmoids(seen))),
            "unchanged": self._unchanged(dense, seen),
        }
        return [word for word, true in truths.items() if true][:1]

    def names_cause(self, word: str, seen: Observed) -> str | None:
        """The released tree of fixes; the first that is true."""
        gradients, weights = seen.norms("gradients"), seen.norms("weights")
        bad = any(bad_rate(seen.rate, gradients[name], weights[name]) for name in seen.kernels())
        inputs = seen.inputs if seen.inputs is not None and seen.inputs.is_floating_point() else None
        if word in ("dead_units", "saturation") and inputs is not None and float(inputs.abs().max()) > 1:
            return "data"
        if word in ("vanishing", "dead_units", "saturation", "unchanged"):
            return "learning_rate" if bad else "activation"
        return "learning_rate"

    def _weights(self, dense: list[str], seen: Observed) -> list[str]:
        return [f"{name}.weight" for name in dense if f"{name}.weight" in seen.gradients]

    def _tensors(self, dense: list[str], seen: Observed) -> list[Tensor]:
        weights = self._weights(dense, seen)
        outputs = [seen.left[name][1] for name in dense]
        return [*outputs, *(seen.weights[w] for w in weights), *(seen.gradients[w] for w in weights)]

    @staticmethod
    def _entering_sigmoids(seen: Observed) -> list[Tensor]:
        return [x for module, x in seen.entered.values() if isinstance(module, SIGMOIDAL)]

    def _unchanged(self, dense: list[str], seen: Observed) -> bool:
        """Five equal means of a layer, or the same accuracy over twenty epochs."""
        for name in dense:
            self._means.setdefault(name, []).append(float(torch.mean(seen.left[name][1].double())))
        if seen.accuracy is not None:
            self._accuracies.append(seen.accuracy)
        same_mean = any(len(m) >= EQUAL and len(set(m[-EQUAL:])) == 1 for m in self._means.values())
        last = self._accuracies[-EQUAL_ACCURACIES:]
        return same_mean or (len(last) == EQUAL_ACCURACIES and len(set(last)) == 1)
