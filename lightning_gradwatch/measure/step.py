"""One measured step, from its first backward to its numbers.

Collects while the step runs, keeps 0-d tensors on their devices, copies once at the end and then holds nothing of the
step any more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from lightning_gradwatch.measure.branches import starved_branch
from lightning_gradwatch.measure.faults import Faults
from lightning_gradwatch.measure.graph import Graph, walk
from lightning_gradwatch.measure.inner import Operations
from lightning_gradwatch.measure.ledger import OpenLedger, open_ledger
from lightning_gradwatch.measure.optimizers import OptimizerMeter
from lightning_gradwatch.measure.places import places
from lightning_gradwatch.measure.ranks import Ranks, Section, Share
from lightning_gradwatch.measure.silence import Silence
from lightning_gradwatch.measure.strays import Strays
from lightning_gradwatch.measure.times import Profile, open_profiles
from lightning_gradwatch.records import (
    Fault,
    Frame,
    Ledger,
    OperationReading,
    OptimizerReading,
    ParameterReading,
    TimeProfile,
)

# Truncated backpropagation or an inner loop may run hundreds of backwards in one step; the first ones tell.
MOST_LEDGERS = 8


@dataclass(frozen=True)
class Reading:
    """The numbers of one step."""

    loss: float | None = None  # the sum of its losses, unscaled
    ledgers: tuple[Ledger, ...] = ()
    branches: tuple[Ledger, ...] = ()
    optimizers: tuple[OptimizerReading, ...] = ()
    parameters: tuple[ParameterReading, ...] = ()
    stepped: bool = False  # whether any optimizer was about to step
    operations: tuple[OperationReading, ...] = ()
    times: tuple[TimeProfile, ...] = ()
    fault: Fault | None = None  # where the first number that is not finite came from
    unowned: tuple[str, ...] = ()  # parameters with a gradient that no optimizer has
    hidden: tuple[str, ...] = ()  # parameters whose gradients are left out, as no rank holds them

    @property
    def is_kept_elsewhere(self) -> bool:
        """Whether a backward reached the parameters and no parameter has a gradient: an engine keeps them to itself."""
        return bool(self.ledgers and self.parameters) and all(reading.norm is None for reading in self.parameters)

    @property
    def is_broken(self) -> bool:
        """Whether some number of the step is not finite."""
        ends = [ledger.end for ledger in (*self.ledgers, *self.branches)]
        sick = any(reading.nonfinite for reading in self.parameters) or any(
            math.isnan(end) or end > 999 for end in ends
        )
        return sick or (self.loss is not None and not math.isfinite(self.loss))

    def of_an_engine(self, norm: float | None) -> Reading:
        """What is left of it when an engine keeps the gradients: nothing of parameters, the norm of the whole."""
        whole = tuple(replace(one, name="", norm=norm, used=None) for one in self.optimizers)
        return replace(self, parameters=(), optimizers=whole)


class StepMeter:
    """What is being measured on the step at hand.

    Args:
        names: ``id(parameter)`` -> its name.
        ranks: with whom the numbers are shared.
        silence: what is remembered of units from one measured step to the next.
        previous: the measured step before, which tells of what branches there is a ledger.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        ranks: Ranks | None = None,
        silence: Silence | None = None,
        previous: Frame | None = None,
    ) -> None:
        self._previous = previous
        self.names, self.ranks = names, Ranks() if ranks is None else ranks
        self.backwards = 0  # all of them, a closure's repetitions included
        self._loss: Tensor | None = None
        self._ledgers: list[OpenLedger] = []
        self._branches: list[OpenLedger] = []
        self._times: list[Profile] = []
        self._optimizers: dict[int, OptimizerMeter] = {}
        self.faults = Faults()
        self.strays, self.operations = Strays(), Operations(silence, self.ranks.losses)

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
        if self.backwards > MOST_LEDGERS:
            return
        graph = walk(root)
        self.strays.reaches(graph, self.names)
        where = places(graph, self.names)
        self.operations.read(graph, where)
        self.faults.read(graph, self.names, where, broken=self._looks_broken(loss))
        self._open(graph, name, scale)

    def _looks_broken(self, loss: Tensor) -> bool:
        """Where a look would wait for a device, it is taken only after a step that was broken."""
        before = self._previous
        looks = loss.device.type == "cpu" or (before is not None and not math.isfinite(before.loss or before.norm or 0))
        return looks and not bool(loss.isfinite().all())

    def _open(self, graph: Graph, name: str, scale: float) -> None:
        size = self.ranks.size
        group = size // self.ranks.losses
        ledger = open_ledger(graph, self.names, name, scale=scale, group=group, ranks=size)
        self._ledgers += [] if ledger is None else [ledger]
        self._times += open_profiles(graph, self.names, name, scale, group)
        target = starved_branch(self._previous, name, self.strays.reached)
        if target is not None:
            branch = open_ledger(graph, self.names, name, target, scale, group=group, ranks=size)
            self._branches += [] if branch is None else [branch]

    def backward_ends(self) -> None:
        """Take all hooks away."""
        for hooked in (*self._ledgers, *self._branches, *self._times):
            hooked.close()

    def optimizer(self, index: int) -> OptimizerMeter:
        """The meter of one optimizer."""
        return self._optimizers.setdefault(index, OptimizerMeter(index))

    def finish(self) -> Reading:
        """The numbers, the same on all ranks: the only moment that waits, for devices and for other ranks."""
        self.backward_ends()
        loss, parameters, ledgers, inner = self.ranks.gather(self._sections())
        flows = iter(ledgers or [])
        closed, beside = ([] if ledgers is None else self._closed(part, flows) for part in self._flows())
        values = iter(parameters or [])
        within = None if inner is None else iter(inner)
        unowned = () if within is None else self.strays.finish(within)
        operations = () if within is None else self.operations.finish(within)
        times = () if within is None else [profile.finish(within) for profile in self._times]
        read = [] if parameters is None else [meter.finish(values) for meter in self._stepping()]
        known = loss[0][0] if loss else None
        fault = None if within is None else self.faults.finish(within, known, alone=self.ranks.size == 1)
        reading = Reading(
            loss=known,
            ledgers=tuple(ledger for ledger in closed if ledger is not None),
            branches=tuple(ledger for ledger in beside if ledger is not None),
            optimizers=tuple(reading for reading, _ in read),
            parameters=tuple(reading for _, readings in read for reading in readings),
            stepped=bool(self._stepping()),
            operations=operations,
            times=tuple(profile for profile in times if profile is not None),
            unowned=unowned,
            hidden=tuple(name for meter in self._stepping() for name in meter.hidden),
        )
        return replace(reading, fault=fault) if reading.is_broken else reading

    def _sections(self) -> list[Section]:
        """What there is to know; the ledgers last, as their structure may differ between ranks."""
        loss, meters, ledgers = self._loss, self._stepping(), [led for part in self._flows() for led in part]
        parts = [self.strays, self.operations, *self._times, self.faults]
        return [
            Section([] if loss is None else [Share(loss)]),
            Section([s for m in meters for s in m.shares()], lambda: [m.structure() for m in meters]),
            Section([s for led in ledgers for s in led.shares()], lambda: [x.structure() for x in ledgers]),
            Section(
                [share for part in parts for share in part.shares()],
                lambda: [part.structure() for part in parts],
            ),
        ]

    def _flows(self) -> list[list[OpenLedger]]:
        return [self._ledgers, self._branches]

    @staticmethod
    def _closed(ledgers: list[OpenLedger], values: Iterator[list[float]]) -> list[Ledger | None]:
        return [ledger.finish([next(values)[0] for _ in ledger.pending()]) for ledger in ledgers]

    def _stepping(self) -> list[OptimizerMeter]:
        """The meters of the optimizers that were about to step; the others' gradients are nobody's yet."""
        return [meter for meter in self._optimizers.values() if meter.begun]
