"""The optimizer meter: what one optimizer is given on one measured step, and what it steps with.

The gradient is looked at when it *arrives* (after a backward), when the optimizer is *about to step*, and once it has
*stepped*: clipping happens between the first and the last.  Which of these moments there are is the host's business;
the numbers of the earliest one that can be trusted are the true gradient.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.anatomy.sharding import is_partial
from lightning_gradwatch.measure.formats import dtype_name
from lightning_gradwatch.measure.norms import l2_each
from lightning_gradwatch.measure.parameters import STATISTICS, Owned, gradient_statistics
from lightning_gradwatch.measure.ranks import Share
from lightning_gradwatch.measure.traits import Traits
from lightning_gradwatch.measure.updates import is_comparable, movement, ratio, remember
from lightning_gradwatch.records import OptimizerReading, ParameterReading
from lightning_gradwatch.records.names import common_module

# A gradient that grew by more than rounding between arrival and step was not clipped but replaced or added to: then
# what is there at the step is the gradient.
_GREW = 1 + 1e-3


@dataclass(frozen=True)
class Row:
    """The statistics of one gradient, true size."""

    norm: float
    max: float | None  # None: each rank has a slice of the tensor
    nonzero: float
    nonfinite: float


class Table:
    """Statistics of the gradients that some parameters have at this moment, still on their devices."""

    def __init__(self, owned: Sequence[Owned], scale: float) -> None:
        self._owned, self._scale = owned, scale
        here: dict[Any, list[tuple[int, Tensor]]] = {}
        for place, own in enumerate(owned):
            gradient = _slice(own)
            if gradient is not None and not is_partial(gradient):
                here.setdefault(gradient.device, []).append((place, gradient))
        self.places = [[place for place, _ in part] for part in here.values()]
        self._pending = [gradient_statistics([gradient for _, gradient in part]) for part in here.values()]
        self._sliced = [place for places in self.places for place in places if owned[place].copies]
        self._present = [float(owned[place].parameter.grad is not None) for place in self._sliced]

    def shares(self) -> list[Share]:
        """The numbers still on their devices."""
        return [
            Share(table, len(places), tuple(self._owned[place].copies for place in places) * len(STATISTICS))
            for places, table in zip(self.places, self._pending, strict=True)
        ] + ([Share(torch.tensor(self._present), copies=(1,) * len(self._present))] if self._sliced else [])

    def rows(self, values: Iterator[list[float]]) -> dict[int, Row]:
        """Place -> its statistics, once the numbers of ``shares`` are on the host."""
        rows: dict[int, Row] = {}
        for places in self.places:
            flat, n = next(values), len(places)
            for i, place in enumerate(places):
                norm, largest, nonzero, nonfinite = (flat[k * n + i] for k in range(len(STATISTICS)))
                whole = None if self._owned[place].copies else largest / self._scale
                rows[place] = Row(norm / self._scale, whole, nonzero, nonfinite)
        for place, holders in zip(self._sliced, next(values) if self._sliced else (), strict=True):
            if not holders:  # on no rank was there any gradient of it
                del rows[place]
        return rows


class OptimizerMeter:
    """One optimizer on one measured step.

    Args:
        index: its place among the fit's optimizers.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.owned: Sequence[Owned] = ()
        self.begun, self.made = 0, 0  # how many of its steps began on this measured step, and were made
        self.traits = Traits()
        self._moment: tuple[int, int] | None = None
        self._arrived: Table | None = None
        self._seen: list[Callable[[], Tensor | None]] = []  # the gradients that arrived: weakly, they are the user's
        self._given: Table | None = None
        self._used: list[tuple[list[int], Tensor]] = []  # places on one device, and the norms of what they stepped with
        self._hidden: set[int] = set()  # places whose gradient no rank holds yet: each has a summand of it
        self._before: dict[int, Tensor] = {}  # place -> weights before the step, of the parameters with a gradient

    def arrives(self, owned: Sequence[Owned], scale: float) -> None:
        """A backward is over, and nobody has clipped yet; of several backwards the last one counts."""
        if not self.begun:
            self._arrived = Table(owned, scale)
            self._seen = [_nothing if g is None else weakref.ref(g) for g in _gradients(owned)]

    def begins(
        self, owned: Callable[[], Sequence[Owned]], scale: float, backwards: int, traits: Traits | None = None
    ) -> None:
        """The optimizer has its gradient; of several steps, or runs of a closure, the first one counts.

        Args:
            owned: gives its parameters.
            scale: what their gradients are multiplied by.
            backwards: how many backwards there were so far: hosts may tell of the same step twice.
            traits: what it is.
        """
        if self._moment == (backwards, self.made):
            return
        self._moment = (backwards, self.made)
        self.begun += 1
        if self.begun > 1:
            return
        self.owned, self.traits = owned(), traits or self.traits
        now = _gradients(self.owned)
        if len(self._seen) != len(now) or not all(seen() is here for seen, here in zip(self._seen, now, strict=True)):
            self._arrived = None  # other tensors stand there now: what arrived is not what is used
        self._seen = []
        self._given = Table(self.owned, scale)
        self._hidden = {place for place, gradient in enumerate(now) if gradient is not None and is_partial(gradient)}
        fed = [place for places in self._given.places for place in places]
        self._before = dict(zip(fed, remember([self.owned[place].parameter for place in fed]), strict=True))

    def ends(self) -> None:
        """The optimizer has stepped, so that nothing skipped it; its gradients are those that it used."""
        self.made += 1
        # A closure that ran several times (L-BFGS) leaves the gradient of its last run.
        if self.begun == self.made == 1 and not self._hidden:
            now = {place: _slice(own) for place, own in enumerate(self.owned)}
            there = {place: gradient for place, gradient in now.items() if gradient is not None}
            self._used = [(places, l2_each([there[place] for place in places])) for places in _by_device(there)]

    def shares(self) -> list[Share]:
        """The numbers still on their devices; ``finish`` wants their values in this order."""
        tables = [table for table in (self._arrived, self._given) if table is not None]
        self._before = {i: old for i, old in self._before.items() if is_comparable(self.owned[i].parameter, old)}
        return [
            *(share for table in tables for share in table.shares()),
            *map(self._moved, _by_device(self._before)),
            *(Share(norms, len(places), self._copies(places)) for places, norms in self._used),
        ]

    def _moved(self, places: list[int]) -> Share:
        """How far they moved, how large they were, and how many elements were followed."""
        before, copies = [self._before[place] for place in places], self._copies(places)
        moves = movement([self.owned[place].parameter for place in places], before)
        counts = torch.tensor([[float(values.numel()) for values in before]], dtype=moves.dtype, device=moves.device)
        return Share(torch.cat([moves, counts]), 2 * len(places), copies * 3)

    def _copies(self, places: list[int]) -> tuple[int, ...]:
        return tuple(self.owned[place].copies for place in places)

    def structure(self) -> object:
        """What ranks must have in common for their numbers to be of the same parameters."""
        tables = [None if table is None else table.places for table in (self._arrived, self._given)]
        used = [places for places, _ in self._used]
        return self.index, [own.name for own in self.owned], tables, list(self._before), used

    @property
    def hidden(self) -> list[str]:
        """The parameters whose gradient cannot be known without talking to other ranks."""
        return [self.owned[place].name for place in sorted(self._hidden)]

    def finish(self, values: Iterator[list[float]]) -> tuple[OptimizerReading, list[ParameterReading]]:
        """The records."""
        arrived = {} if self._arrived is None else self._arrived.rows(values)
        given = {} if self._given is None else self._given.rows(values)
        changes: dict[int, tuple[float | None, float | None]] = {}
        for places in _by_device(self._before):
            changes.update(zip(places, _changes(next(values)), strict=True))
        used = math.hypot(*(norm for _ in self._used for norm in next(values))) if self._used else None
        rows = _true(arrived, given)
        reading = OptimizerReading(
            index=self.index,
            name=common_module(own.name.rpartition(".")[0] for own in self.owned),
            norm=None if self._hidden else _norm(rows),
            used=used,
            stepped=self.made > 0,
            kind=self.traits.kind,
            eps=self.traits.eps,
            decay=self.traits.decay,
            strangers=self.traits.strangers,
        )
        told = [(i, own) for i, own in enumerate(self.owned) if i not in self._hidden]
        return reading, [_reading(own, rows.get(i), *changes.get(i, (None, None))) for i, own in told]


def _by_device(tensors: Mapping[int, Tensor]) -> list[list[int]]:
    """The places of the tensors that lie on one device."""
    devices: dict[torch.device, list[int]] = {}
    for place, tensor in tensors.items():
        devices.setdefault(tensor.device, []).append(place)
    return list(devices.values())


def _changes(flat: list[float]) -> Iterator[tuple[float, float]]:
    """The update of each parameter, and the root mean square of its weights before."""
    n = len(flat) // 3
    for moved, old, count in zip(flat[:n], flat[n : 2 * n], flat[2 * n :], strict=True):
        yield ratio(moved, old), old / math.sqrt(count) if count else 0.0


def _gradients(owned: Sequence[Owned]) -> list[Tensor | None]:
    return [own.parameter.grad for own in owned]


def _slice(own: Owned) -> Tensor | None:
    """The gradient on this rank; where others hold the slices that there are, an empty one."""
    gradient = own.parameter.grad
    return torch.empty(0) if gradient is None and own.copies else gradient


def _nothing() -> None:
    """Stands for a parameter without a gradient."""


def _norm(rows: Mapping[int, Row]) -> float | None:
    return math.hypot(*(row.norm for row in rows.values())) if rows else None


def _true(arrived: dict[int, Row], given: dict[int, Row]) -> dict[int, Row]:
    """The gradient before anybody clipped it, as far as it was seen."""
    before, after = _norm(arrived), _norm(given)
    if before is None or after is None or not math.isfinite(before):
        return given
    return arrived if after <= before * _GREW else given


def _reading(own: Owned, row: Row | None, update: float | None, weight: float | None) -> ParameterReading:
    size, dtype = own.size, dtype_name(own.parameter.dtype)
    fan = max(1, own.parameter.shape[1:].numel()) if own.parameter.dim() > 1 else 1
    if row is None:
        return ParameterReading(
            name=own.name,
            size=size,
            optimizer=own.optimizer,
            fan=fan,
            norm=None,
            rms=None,
            max=None,
            zeros=None,
            dtype=dtype,
        )
    return ParameterReading(
        name=own.name,
        size=size,
        optimizer=own.optimizer,
        fan=fan,
        norm=row.norm,
        rms=row.norm / math.sqrt(size) if size else 0.0,
        max=row.max,
        zeros=1 - row.nonzero / size if size else 0.0,
        nonfinite=int(row.nonfinite),
        update=update,
        weight=weight,
        dtype=dtype,
    )
