"""What the re-implemented peers share: they watch the same fit and put down when they would have rung.

The rules are written anew from their published formulas (the project's notes on peers, section 2, with thresholds
at the peers' defaults).  Conventions, the same for all peers and meant in their favour:

- An alarm is ``(step, word)``.  The step counts batches after which weights moved, from 0.  The word is our kind of
  finding where the rule means one (vanishing, exploding, dead_units, saturation, nonfinite, stalled); otherwise one of
  oscillating, initialization, loss, unchanged.
  A rule that goes on holding rings once: only the first step of each word is kept.
- ``cause`` is our word for the first thing the peer would change, None where it names no cause.
- Peers with a cadence in epochs (Keras) get an epoch of the fit's own length, but of at most ``LONGEST_EPOCH`` steps,
  so that they are asked several times in a short fit.
- Accuracy is the training batch's, which a module may leave in ``last_accuracy``; None: what needs it is left out.
- Kernels are trained parameters of two dimensions or more, in the order of registration; the others' order is not used.
- Gradients are those that the optimizer is about to use: unscaled, accumulated, not yet clipped.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback

from .eyes import Eyes, Observed

LONGEST_EPOCH = 25


class Peer(Callback):
    """Sees every step of a fit; a subclass answers with words in ``judge`` and, at the end, in ``conclude``."""

    name = "peer"

    def __init__(self) -> None:
        self.alarms: list[tuple[int, str]] = []
        self.cause: str | None = None
        self.epoch_length, self.epochs = LONGEST_EPOCH, 1
        self._eyes: Eyes | None = None
        self._last = 0

    def judge(self, seen: Observed) -> list[str]:
        """The words that hold on this step."""
        raise NotImplementedError

    def conclude(self) -> list[str]:
        """The words that hold for the whole fit, asked once at its end."""
        return []

    def names_cause(self, word: str, seen: Observed) -> str | None:
        """Our cause for what the peer advises on its first alarm."""
        return None

    def ring(self, words: list[str], seen: Observed) -> None:
        """Keeps the first step of each word, and the cause of the first alarm."""
        for word in words:
            if not self.alarms:
                self.cause = self.names_cause(word, seen)
            if word not in (known for _, known in self.alarms):
                self.alarms.append((seen.step, word))

    # --- what Lightning calls; the peers of one fit share one pair of eyes, which the first of them moves ---

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.epoch_length = int(min(trainer.num_training_batches, LONGEST_EPOCH))
        self.epochs = max(1, round(max(trainer.max_steps, 1) / self.epoch_length))
        self._eyes = Eyes.of(trainer, pl_module, self)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self._eyes and self._eyes.owner is self:
            self._eyes.open(batch)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        if self._eyes and self._eyes.owner is self:
            self._eyes.see_loss(trainer, loss)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if self._eyes and self._eyes.owner is self:
            self._eyes.see_gradients(pl_module, optimizer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._eyes is None:
            return
        if self._eyes.owner is self:
            self._eyes.see_updates(pl_module)
        seen = self._eyes.seen
        if seen is not None:
            self._last = seen.step
            self.ring(self.judge(seen), seen)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.ring(self.conclude(), Observed(self._last))
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._eyes is not None:
            self._eyes.close()
            self._eyes = None
