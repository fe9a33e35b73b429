"""The vigil in a running fit: hears the moments of its steps, whether they are measured or not."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.callbacks.wakefulness import Wakefulness
from lightning_gradwatch.measure.vigil import REACHED, Vigil

# Losses of one step that have baselines, as many as there are ledgers.
_LOSSES = 8


class Lookout:
    """Costs the comparison of two integers a step, and a few norms on one step in five.

    Args:
        host: who trains.
        wakefulness: who is told.
        is_on: whether to look at all.  Never where other ranks train too: a step that one rank measures because of its
            own numbers would leave it waiting for the others.
    """

    def __init__(self, host: Host, wakefulness: Wakefulness, is_on: bool) -> None:
        self._host, self._wakefulness, self._is_on = host, wakefulness, is_on
        self._vigil = Vigil(wakefulness.carried)
        self._looks = False  # whether the batch at hand is looked at
        self._seen: set[int] = set()  # the optimizers that have stepped in it; one with a closure begins often
        self._losses = 0
        self._handles: list[Any] = []

    def batch_begins(self, optimizer_begins: Callable[[Any], None]) -> None:
        """A batch starts.

        Args:
            optimizer_begins: to be called when an optimizer steps that the host says nothing of.
        """
        self._losses = 0
        if not self._is_on:
            return
        if self._looks:  # the batch before was cut short
            self.drop()
        self._looks = self._wakefulness.looks_at(self._host.step) and self._host.completes_window
        if self._looks and self._host.by_hand:
            hear = functools.partial(_call, optimizer_begins)
            able = [one for one in self._host.optimizers if hasattr(one, "register_step_pre_hook")]
            self._handles = [one.register_step_pre_hook(hear) for one in able]

    def backward_begins(self, loss: Any) -> bool:
        """A backward is about to start; whether this batch is to be measured for it, and still can be from its start.

        That a loss is not finite costs nothing to know on the CPU.
        """
        place, self._losses = self._losses, self._losses + 1
        if not self._is_on or place >= (_LOSSES if self._host.by_hand else 1):  # a closure's repetition is no other
            return False
        name = f"loss[{place}]" if place else "loss"
        is_here = loss.device.type == "cpu"
        if is_here and not math.isfinite(value := loss.detach().float().sum().item()):
            return self._wakefulness.hears_broken(self._host.step, name, value) and place == 0
        if self._looks and loss.device.type in REACHED and (is_here or not self._host.has_scaler):  # its scale waits
            backward = self._host.backward(loss)
            if backward is not None:
                self._vigil.loss(name, backward.loss)
        return False

    def optimizer_begins(self, optimizer: Any) -> None:
        """This optimizer is about to use its gradients."""
        raw = _lightning.unwrapped(optimizer)
        if not self._looks or id(raw) in self._seen:
            return
        self._seen.add(id(raw))
        place = next((i for i, other in enumerate(self._host.optimizers) if other is raw), 0)
        parameters = [p for group in raw.param_groups for p in group["params"]]
        self._vigil.gradients(place, parameters, is_true=not self._host.has_scaler)

    def batch_ends(self) -> None:
        """Tell what was seen; a batch on which no optimizer stepped was none."""
        if self._looks and self._seen:
            self._wakefulness.hears(self._host.step, self._vigil.settle())
        if self._looks:
            self.drop()

    def carry(self) -> None:
        """Leave what is on its way to those who go on with this fit; waits for it."""
        self._wakefulness.carried = self._vigil.under_way()

    def go_on(self) -> None:
        """Take what was carried: the fit was rolled back."""
        self._vigil = Vigil(self._wakefulness.carried)

    def drop(self) -> None:
        """Forget the batch at hand and take all hooks away."""
        self._vigil.forget()
        self._looks = False
        self._seen.clear()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _call(hear: Callable[[Any], None], optimizer: Any, args: Any, kwargs: Any) -> None:
    """Torch's optimizer hooks may give new arguments back; this one never does."""
    hear(optimizer)
