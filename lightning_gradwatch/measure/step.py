"""One measured step, from its first backward to its numbers.

Collects while the step runs, keeps 0-d tensors on their devices, copies once at the end and then holds nothing of the
step any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lightning_gradwatch.measure.host import to_host
from lightning_gradwatch.measure.ledger import OpenLedger, open_ledger
from lightning_gradwatch.measure.optimizers import OptimizerMeter
from lightning_gradwatch.records import Ledger, OptimizerReading, ParameterReading

# Truncated backpropagation or an inner loop may run hundreds of backwards in one step; the first ones tell.
MOST_LEDGERS = 8


@dataclass(frozen=True)
class Reading:
    """The numbers of one step."""

    loss: float | None = None  # the sum of its losses, unscaled
    ledgers: tuple[Ledger, ...] = ()
    optimizers: tuple[OptimizerReading, ...] = ()
    parameters: tuple[ParameterReading, ...] = ()


class StepMeter:
    """What is being measured on the step at hand.

    Args:
        names: ``id(parameter)`` -> its name.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.backwards = 0  # all of them, a closure's repetitions included
        self._loss: Tensor | None = None
        self._ledgers: list[OpenLedger] = []
        self._optimizers: dict[int, OptimizerMeter] = {}

    def backward_begins(self, root: Any, loss: Tensor, scale: float, *, again: bool = True) -> None:
        """Open a ledger on this loss's graph.

        Args:
            root: the autograd node of the user's loss.
            loss: its value, a 0-d tensor.
            scale: what it is multiplied by before the backward.
            again: whether a further backward of the step is another loss; else it is a closure's repetition (L-BFGS,
                SAM) and only the first counts.
        """
        self.backward_ends()
        name = f"loss[{self.backwards}]" if self.backwards else "loss"
        self.backwards += 1
        if self.backwards > 1 and not again:
            return
        self._loss = loss if self._loss is None else self._loss + loss
        ledger = open_ledger(root, self.names, name, scale=scale) if self.backwards <= MOST_LEDGERS else None
        if ledger is not None:
            self._ledgers.append(ledger)

    def backward_ends(self) -> None:
        """Take all hooks away."""
        for ledger in self._ledgers:
            ledger.close()

    def optimizer(self, index: int) -> OptimizerMeter:
        """The meter of one optimizer."""
        return self._optimizers.setdefault(index, OptimizerMeter(index))

    def finish(self) -> Reading:
        """The numbers: the only moment that waits for a device."""
        self.backward_ends()
        ledgers, meters = [ledger.pending() for ledger in self._ledgers], self._stepping()
        loss = [] if self._loss is None else [self._loss]
        tensors = [*(t for pending in ledgers for t in pending), *(t for m in meters for t in m.pending()), *loss]
        values = iter(to_host(tensors))
        closed = [led.finish([next(values)[0] for _ in of]) for led, of in zip(self._ledgers, ledgers, strict=True)]
        read = [meter.finish(values) for meter in meters]
        return Reading(
            loss=next(values)[0] if loss else None,
            ledgers=tuple(ledger for ledger in closed if ledger is not None),
            optimizers=tuple(reading for reading, _ in read),
            parameters=tuple(reading for _, readings in read for reading in readings),
        )

    def _stepping(self) -> list[OptimizerMeter]:
        """The meters of the optimizers that were about to step; the others' gradients are nobody's yet."""
        return [meter for meter in self._optimizers.values() if meter.begun]
