"""Counts the steps that an AMP scaler skips, on every step and without a look at any device."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch.callbacks.host import Host


class Skips:
    """How many optimizer steps were begun and never made.

    A scaler that finds an inf does not call ``optimizer.step``, so that its step hook stays silent.  Fused optimizers
    are always called and skip inside their kernel: theirs are seen on measured steps only.

    Args:
        host: who trains.
        count: how many there were already, in a fit that is resumed.
    """

    def __init__(self, host: Host, count: int = 0) -> None:
        self.count = count
        self._handles: list[Any] = []
        self._begun: set[int] = set()
        if host.has_scaler:
            self._handles = [
                optimizer.register_step_post_hook(self._made)
                for optimizer in host.optimizers
                if hasattr(optimizer, "register_step_post_hook")
            ]

    def begins(self, optimizer: Any) -> None:
        """An optimizer is about to step; one whose last step was never made has skipped it."""
        if self._handles and _has_gradient(optimizer):
            self.settle(optimizer)
            self._begun.add(id(optimizer))

    def _made(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._begun.discard(id(optimizer))

    def settle(self, optimizer: Any | None = None) -> int:
        """Count what was begun and not made; of that optimizer, or of all once the batch is over."""
        open_now = self._begun if optimizer is None else self._begun & {id(optimizer)}
        self.count += len(open_now)
        self._begun = self._begun - open_now
        return self.count

    def close(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles = []


def _has_gradient(optimizer: Any) -> bool:
    return any(p.grad is not None for group in optimizer.param_groups for p in group["params"])
