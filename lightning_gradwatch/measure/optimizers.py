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

from torch import Tensor

from lightning_gradwatch.measure.formats import dtype_name
from lightning_gradwatch.measure.norms import joint_l2
from lightning_gradwatch.measure.parameters import STATISTICS, Owned, gradient_statistics
from lightning_gradwatch.measure.updates import is_comparable, remember, update_ratio
from lightning_gradwatch.records import OptimizerReading, ParameterReading

# A gradient that grew by more than rounding between arrival and step was not clipped but replaced or added to: then
# what is there at the step is the gradient.
_GREW = 1 + 1e-3


@dataclass(frozen=True)
class Row:
    """The statistics of one gradient, true size."""

    norm: float
    max: float
    nonzero: float
    nonfinite: float


class Table:
    """Statistics of the gradients that some parameters have at this moment, still on their devices."""

    def __init__(self, owned: Sequence[Owned], scale: float) -> None:
        self.scale = scale
        here: dict[Any, list[tuple[int, Tensor]]] = {}
        for place, own in enumerate(owned):
            if own.parameter.grad is not None:
                here.setdefault(own.parameter.grad.device, []).append((place, own.parameter.grad))
        self.places = [[place for place, _ in part] for part in here.values()]
        self.pending = [gradient_statistics([gradient for _, gradient in part]) for part in here.values()]

    def rows(self, values: Iterator[list[float]]) -> dict[int, Row]:
        """Place -> its statistics, once the numbers of ``pending`` are on the host."""
        rows: dict[int, Row] = {}
        for places in self.places:
            flat, n = next(values), len(places)
            for i, place in enumerate(places):
                norm, largest, nonzero, nonfinite = (flat[k * n + i] for k in range(len(STATISTICS)))
                rows[place] = Row(norm / self.scale, largest / self.scale, nonzero, nonfinite)
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
        self._moment: tuple[int, int] | None = None
        self._arrived: Table | None = None
        self._seen: list[Callable[[], Tensor | None]] = []  # the gradients that arrived: weakly, they are the user's
        self._given: Table | None = None
        self._used: Tensor | None = None
        self._before: dict[int, Tensor] = {}  # place -> weights before the step, of the parameters with a gradient

    def arrives(self, owned: Sequence[Owned], scale: float) -> None:
        """A backward is over, and nobody has clipped yet; of several backwards the last one counts."""
        if not self.begun:
            self._arrived = Table(owned, scale)
            self._seen = [_nothing if g is None else weakref.ref(g) for g in _gradients(owned)]

    def begins(self, owned: Callable[[], Sequence[Owned]], scale: float, backwards: int) -> None:
        """The optimizer has its gradient; of several steps, or runs of a closure, the first one counts.

        Args:
            owned: gives its parameters.
            scale: what their gradients are multiplied by.
            backwards: how many backwards there were so far: hosts may tell of the same step twice.
        """
        if self._moment == (backwards, self.made):
            return
        self._moment = (backwards, self.made)
        self.begun += 1
        if self.begun > 1:
            return
        self.owned = owned()
        now = _gradients(self.owned)
        if len(self._seen) != len(now) or not all(seen() is here for seen, here in zip(self._seen, now, strict=True)):
            self._arrived = None  # other tensors stand there now: what arrived is not what is used
        self._seen = []
        self._given = Table(self.owned, scale)
        fed = [place for place, gradient in enumerate(now) if gradient is not None]
        self._before = dict(zip(fed, remember([self.owned[place].parameter for place in fed]), strict=True))

    def ends(self) -> None:
        """The optimizer has stepped, so that nothing skipped it; its gradients are those that it used."""
        self.made += 1
        present = [gradient for gradient in _gradients(self.owned) if gradient is not None]
        # A closure that ran several times (L-BFGS) leaves the gradient of its last run.
        if self.begun == self.made == 1 and present:
            self._used = joint_l2(present)

    def pending(self) -> list[Tensor]:
        """The tensors still on their devices; ``finish`` wants their values in this order."""
        tables = [table for table in (self._arrived, self._given) if table is not None]
        self._before = {i: old for i, old in self._before.items() if is_comparable(self.owned[i].parameter, old)}
        ratios = [update_ratio(self.owned[place].parameter, before) for place, before in self._before.items()]
        used = [] if self._used is None else [self._used]
        return [tensor for table in tables for tensor in table.pending] + ratios + used

    def finish(self, values: Iterator[list[float]]) -> tuple[OptimizerReading, list[ParameterReading]]:
        """The records."""
        arrived = {} if self._arrived is None else self._arrived.rows(values)
        given = {} if self._given is None else self._given.rows(values)
        updates = {place: next(values)[0] for place in self._before}
        used = None if self._used is None else next(values)[0]
        rows = _true(arrived, given)
        reading = OptimizerReading(
            index=self.index, name=module_of(self.owned), norm=_norm(rows), used=used, stepped=self.made > 0
        )
        return reading, [_reading(own, rows.get(i), updates.get(i)) for i, own in enumerate(self.owned)]


def _gradients(owned: Sequence[Owned]) -> list[Tensor | None]:
    return [own.parameter.grad for own in owned]


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


def module_of(owned: Sequence[Owned]) -> str:
    """The innermost module that holds all of these parameters; "" for the whole network.

    Example:
        >>> module_of([Owned(name, Tensor(), 0) for name in ("gan.generator.0.weight", "gan.generator.2.bias")])
        'gan.generator'
    """
    parts = [own.name.split(".")[:-1] for own in owned]
    common = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join(common)


def _reading(own: Owned, row: Row | None, update: float | None) -> ParameterReading:
    size, dtype = own.parameter.numel(), dtype_name(own.parameter.dtype)
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
        dtype=dtype,
    )
