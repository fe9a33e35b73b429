"""AUTOTRAINER (Zhang et al., ICSE 2021): ratio of the first kernel's gradient to the last one's, every third epoch.

The gate: a fit is judged once 30 % of its epochs are over, and only where it has not converged (accuracy below
0.7, or no epoch that gained 0.01).  Where no accuracy is known the gate looks at the loss instead: no epoch that took
off 1 % of it.  Left out: the check of the output layer's sum, which knows Keras' softmax layers and would ring on
logits.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from .base import Observed, Peer

EVERY = 3  # epochs
VANISH_RATIO, VANISH_NORM, EXPLODE_RATIO = 1e-3, 1e-4, 70.0  # beta 1, 2, 3
DYING, WILD_LOSS = 0.7, 1e3  # gamma
ACCURACY, GAIN = 0.7, 0.01  # theta, delta
SWING, SWINGS = 0.03, 0.2  # zeta, eta
GATE = 0.3  # of the epochs


def vanishing(first: float, last: float) -> bool:
    """From the norms of the first and the last kernel's gradients."""
    return last > 0 and first / last < VANISH_RATIO and first < VANISH_NORM


def exploding(first: float, last: float) -> bool:
    return last > 0 and first / last > EXPLODE_RATIO


def dying(gradients: list[Tensor]) -> bool:
    """Share of zeros over all gradients together."""
    zeros = sum(int((g == 0).sum()) for g in gradients)
    return zeros >= DYING * max(1, sum(g.numel() for g in gradients))


def unstable(accuracies: list[float], epochs: int) -> bool:
    """Whether accuracy swings by ζ from a local maximum to the next local minimum in a share η of the epochs."""
    swings, high = 0, accuracies[0] if accuracies else 0.0
    for before, here, after in zip(accuracies, accuracies[1:], accuracies[2:], strict=False):
        if before < here >= after:
            high = here
        elif before > here <= after:
            swings += high - here >= SWING
    return swings >= max(1.0, SWINGS * epochs)


class AutoTrainerUngated(Peer):
    """Symptoms as they come, whether or not the fit learns."""

    name = "autotrainer-ungated"

    def __init__(self) -> None:
        super().__init__()
        self._batches: list[float] = []
        self.by_epoch: list[float] = []  # mean training accuracy
        self._losses: list[float] = []
        self.loss_by_epoch: list[float] = []

    def judge(self, seen: Observed) -> list[str]:
        self._batches.extend([seen.accuracy] if seen.accuracy is not None else [])
        self._losses.extend([seen.loss] if seen.loss is not None else [])
        if seen.step % self.epoch_length == self.epoch_length - 1:
            self._close_epoch()
        epoch, first_batch = seen.step // self.epoch_length, seen.step % self.epoch_length == 0
        if not first_batch or epoch % EVERY or not self.may_judge(epoch):
            return []
        found = self.symptoms(seen)
        return found[:1]  # the first true one is the verdict

    def symptoms(self, seen: Observed) -> list[str]:
        kernels = [seen.norms("gradients")[name] for name in seen.kernels()]
        if not kernels:
            return []
        first, last = kernels[0], kernels[-1]
        wild = seen.loss is not None and not abs(seen.loss) < WILD_LOSS
        truths = {
            "dead_units": dying(list(seen.gradients.values())),
            "nonfinite": wild and not seen.is_finite(),
            "exploding": exploding(first, last),
            "vanishing": vanishing(first, last),
            "oscillating": unstable(self.by_epoch, self.epochs),
        }
        return [word for word, true in truths.items() if true]

    def may_judge(self, epoch: int) -> bool:
        return True

    def names_cause(self, word: str, seen: Observed) -> str | None:
        """By the first repair of its list: another activation for broken flow, another optimizer for the rest."""
        return "learning_rate" if word in ("oscillating", "stalled") else "activation"

    def _close_epoch(self) -> None:
        for batches, epochs in ((self._batches, self.by_epoch), (self._losses, self.loss_by_epoch)):
            if batches:
                epochs.append(sum(batches) / len(batches))
            batches.clear()


class AutoTrainer(AutoTrainerUngated):
    """As published: only a fit that does not converge is judged."""

    name = "autotrainer"

    def may_judge(self, epoch: int) -> bool:
        return epoch >= GATE * self.epochs and (self.low() or self.flat())

    def symptoms(self, seen: Observed) -> list[str]:
        return super().symptoms(seen) or (["stalled"] if self.low() and self.flat() else [])

    def low(self) -> bool:
        """Accuracy below Θ; unknown accuracy says nothing."""
        return bool(self.by_epoch) and max(self.by_epoch) < ACCURACY

    def flat(self) -> bool:
        """No epoch gained δ in accuracy or, where there is none, took off the share δ of the loss."""
        values = self.by_epoch or self.loss_by_epoch
        pairs = list(pairwise(values))
        if not pairs:
            return False
        if self.by_epoch:
            return max(after - before for before, after in pairs) < GAIN
        return max((before - after) / max(abs(before), 1e-30) for before, after in pairs) < GAIN
