"""One measured step, from its first backward to its frame.

Collects while the step runs, keeps 0-d tensors on their devices, copies once at the end and then holds nothing of the
step any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lightning_gradwatch.measure.host import to_host
from lightning_gradwatch.measure.ledger import OpenLedger, open_ledger
from lightning_gradwatch.measure.parameters import Owned, gradient_statistics
from lightning_gradwatch.measure.updates import remember, update_ratio
from lightning_gradwatch.records import Ledger, ParameterReading


class StepMeter:
    """What is being measured on the step at hand.

    Args:
        names: ``id(parameter)`` -> its name.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self._loss: Tensor | None = None
        self._ledgers: list[OpenLedger] = []
        self._owned: list[Owned] = []
        self._tables: list[tuple[list[int], Tensor, float]] = []  # (places in _owned, statistics, gradient scale)
        self._before: dict[int, Tensor] = {}  # place in _owned -> weights before the step
        self._optimizers: set[int] = set()

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
        if self._loss is not None and not again:
            return
        self._loss = loss if self._loss is None else self._loss + loss
        name = "loss" if not self._ledgers else f"loss[{len(self._ledgers)}]"
        ledger = open_ledger(root, self.names, name, scale=scale)
        if ledger is not None:
            self._ledgers.append(ledger)

    def backward_ends(self) -> None:
        """Take all hooks away."""
        for ledger in self._ledgers:
            ledger.close()

    def optimizer_steps(self, index: int, owned: Sequence[Owned], scale: float) -> None:
        """Read the gradients that this optimizer is about to use; only its first call of a step counts.

        Closures (L-BFGS) come here several times a step.
        """
        if index in self._optimizers:
            return
        self._optimizers.add(index)
        start = len(self._owned)
        self._owned.extend(owned)
        by_device: dict[Any, list[int]] = {}
        for place in range(start, len(self._owned)):
            gradient = self._owned[place].parameter.grad
            if gradient is not None:
                by_device.setdefault(gradient.device, []).append(place)
        for places in by_device.values():
            parameters = [self._owned[place].parameter for place in places]
            gradients = [p.grad for p in parameters if p.grad is not None]
            self._tables.append((places, gradient_statistics(gradients), scale))
            self._before.update(zip(places, remember(parameters), strict=True))

    def finish(self) -> tuple[float | None, tuple[Ledger, ...], tuple[ParameterReading, ...]]:
        """The loss, the ledgers and the parameters' readings: the only moment that waits for a device."""
        self.backward_ends()
        ratios = [update_ratio(self._owned[place].parameter, before) for place, before in self._before.items()]
        pending = [reading for ledger in self._ledgers for reading in ledger.pending()]
        tables = [table for _, table, _ in self._tables]
        loss = [] if self._loss is None else [self._loss]
        values = to_host([*pending, *tables, *ratios, *loss])
        readings = iter(values)
        ledgers = [led.finish([next(readings)[0] for _ in led.pending()]) for led in self._ledgers]
        statistics = [next(readings) for _ in tables]
        updates = dict(zip(self._before, (next(readings)[0] for _ in ratios), strict=True))
        self._before.clear()
        return (
            next(readings)[0] if loss else None,
            tuple(ledger for ledger in ledgers if ledger is not None),
            self._readings(statistics, updates),
        )

    def _readings(
        self, statistics: Sequence[Sequence[float]], updates: Mapping[int, float]
    ) -> tuple[ParameterReading, ...]:
        rows: dict[int, tuple[float, float, float, float]] = {}
        for (places, _, scale), flat in zip(self._tables, statistics, strict=True):
            n = len(places)
            for i, place in enumerate(places):
                rows[place] = (flat[i] / scale, flat[n + i] / scale, flat[2 * n + i], flat[3 * n + i])
        return tuple(_reading(own, rows.get(i), updates.get(i)) for i, own in enumerate(self._owned))


def _reading(own: Owned, row: tuple[float, float, float, float] | None, update: float | None) -> ParameterReading:
    size = own.parameter.numel()
    if row is None:
        return ParameterReading(
            name=own.name, size=size, optimizer=own.optimizer, norm=None, rms=None, max=None, zeros=None
        )
    norm, largest, nonzero, nonfinite = row
    return ParameterReading(
        name=own.name,
        size=size,
        optimizer=own.optimizer,
        norm=norm,
        rms=norm / math.sqrt(size) if size else 0.0,
        max=largest,
        zeros=1 - nonzero / size if size else 0.0,
        nonfinite=int(nonfinite),
        update=update,
    )
