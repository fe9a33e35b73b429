"""What was measured on one step.

All gradient sizes are true sizes: unscaled, undivided by the loss scale, and in decades (log10) where they can be tiny.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from lightning_gradwatch.records.inner import Fault, OperationReading, TimeProfile


def total(decades: Iterable[float]) -> float:
    """The sum of decades, exactly rounded; nan where a path both dies and overflows.

    Example:
        >>> total([0.1] * 10), total([-float("inf"), 1.0]), total([-float("inf"), float("inf")])
        (1.0, -inf, nan)
    """
    values = tuple(decades)
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One kind of operation inside a segment."""

    name: str  # the autograd node's name without its suffix: "Sigmoid", "Addmm", "Convolution"
    family: str  # "activation", "linear", "norm", "pool", "recurrent", "attention", "loss", "shape", "other"
    share: float  # of the segment's operations, 0..1


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of the backward pass between two nodes that every path to the target layer passes."""

    label: str  # for people: "net.3 (Linear)", "Sigmoid after net.3"
    layer: str  # the module whose output this stretch acts on, as named_modules() says it; "" where unknown
    modules: tuple[str, ...]  # the modules whose parameters this stretch uses
    operations: tuple[Operation, ...]  # biggest share first
    family: str  # that of its operations; "block" for several paths or several families
    decades: float  # log10 of gradient norm behind over gradient norm before: negative = lost
    position: float  # 0 at the loss .. 1 at the target layer
    slope: float | None = None  # mean |slope| of the activation over its largest possible slope
    dead: float | None = None  # share of its units that are zero for the whole batch
    reused: bool = False  # its parameters are used again elsewhere (weight sharing, recurrence)
    dtype: str = ""  # number format of the gradients in it, the narrowest of several: "float16"; "" where unknown
    size: int = 0  # number of elements of the gradient that enters it; 0 where unknown


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Decades of gradient that every stretch of one backward pass loses or gains, loss first, target layer last.

    The sum over ``segments`` is exactly ``end - start``: nothing is estimated.
    """

    name: str  # "loss", or "loss[1]" for the second backward of a step
    target: str  # the parameter whose layer ends the ledger: "net.0.weight"
    target_layer: str  # that layer, as named_modules() says it: "net.0"
    segments: tuple[Segment, ...]
    start: float  # log10 of the gradient norm that enters the first segment
    end: float  # log10 of the gradient norm that arrives at the target layer's output
    scale: float = 1.0  # what the loss was multiplied by before its backward: number formats saw sizes larger by it
    # What the graph holds whose inside autograd does not show: "compiled regions", "reentrant checkpoints".  The ledger
    # stops at such an operation, or passes it in one segment; ``records.flow`` tells how much arrives inside.
    closed: tuple[str, ...] = ()
    below: tuple[str, ...] = ()  # layers inside the operation that ends the ledger, as the gradient meets them
    unplaced: tuple[str, ...] = ()  # layers inside some opaque operation, nobody knows which
    given: float | None = None  # root mean square of what the target layer is given; None where it was not kept

    @property
    def decades(self) -> float:
        """Decades from the loss to the target layer; negative = lost."""
        return total(segment.decades for segment in self.segments)

    @property
    def head(self) -> int:
        """Index of the first segment from the loss that uses parameters: what lies before belongs to the loss."""
        return next((i for i, segment in enumerate(self.segments) if segment.modules), len(self.segments))

    @property
    def body(self) -> tuple[Segment, ...]:
        """The segments from the head's output down to the target layer's output."""
        return self.segments[self.head :]

    def by_family(self) -> dict[str, float]:
        """Decades by family of operation, from the loss on: the ledger's summary table."""
        sums: dict[str, list[float]] = {}
        for segment in self.segments:
            sums.setdefault(segment.family, []).append(segment.decades)
        return {family: total(values) for family, values in sums.items()}


@dataclass(frozen=True, kw_only=True)
class ParameterReading:
    """The gradient and the update of one parameter tensor on one step."""

    name: str
    size: int  # number of elements
    optimizer: int  # index of the optimizer that owns it
    fan: int = 1  # elements that belong to one of its outputs: the inputs of a weight's row; 1 for a bias
    norm: float | None  # L2 of the true gradient; None: the parameter got no gradient at all
    rms: float | None  # norm / sqrt(size)
    max: float | None  # largest absolute value
    zeros: float | None  # share of elements that are exactly 0
    nonfinite: int = 0  # number of elements that are inf or nan
    update: float | None = None  # ||weights after - weights before|| / ||weights before||; None: not measured
    weight: float | None = None  # root mean square of the weights before the step; None: not measured
    dtype: str = ""  # number format of the weights, in which updates are rounded: "bfloat16"; "" where unknown


@dataclass(frozen=True, kw_only=True)
class OptimizerReading:
    """What one optimizer was given on one step, and what it stepped with."""

    index: int  # its place among the fit's optimizers
    name: str  # the module that holds its parameters, as named_modules() says it; "" where no one module does
    norm: float | None  # L2 of the true gradient, before clipping; None: it got none
    used: float | None = None  # L2 of what it stepped with, after clipping; None: it did not step, or nobody could look
    stepped: bool = True  # False: the AMP scaler skipped its step
    kind: str = ""  # its class: "Adam"
    eps: float | None = None  # what an adaptive one adds to the root of its second moment
    decay: float = 0.0  # the largest weight decay of its groups
    strangers: int = 0  # its parameters that belong to no module and get no gradient: old ones, of layers that are gone

    @property
    def clip_ratio(self) -> float | None:
        """Share of the gradient's length that clipping left, 0..1; None where unknown.

        Example:
            >>> OptimizerReading(index=0, name="", norm=4.0, used=1.0).clip_ratio
            0.25
        """
        if self.norm is None or self.used is None or not math.isfinite(self.norm) or not math.isfinite(self.used):
            return None
        return min(1.0, self.used / self.norm) if self.norm > 0 else 1.0


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One measured step."""

    step: int  # the x axis of the user's own loss curve
    global_step: int  # trainer.global_step when the step began
    epoch: int
    batch: int  # index of the batch within its epoch
    loss: float | None  # the user's loss, unscaled; None: there was none
    rates: tuple[float, ...] = ()  # that every parameter group stepped with, all optimizers in order
    rate_scale: float = 1.0  # what on_vanishing="decay_lr" multiplied the schedule's rates by
    loss_scale: float = 1.0  # of the AMP scaler
    skipped: bool = False  # the AMP scaler skipped this step: its infinities are not news
    skipped_steps: int = 0  # how many steps the scaler has skipped so far, the ones between measured steps included
    micro_batches: int = 1  # how many backwards this step's gradient was accumulated over ...
    accumulation: int = 1  # ... and how many Lightning divided the loss by: more, in an epoch's last, short window
    ledgers: tuple[Ledger, ...] = ()
    branches: tuple[Ledger, ...] = ()  # of the worst fed layer beside the trunk, one a loss, where there is one
    operations: tuple[OperationReading, ...] = ()
    times: tuple[TimeProfile, ...] = ()
    fault: Fault | None = None  # where numbers first ceased to be finite, on a step on which they did
    unowned: tuple[str, ...] = ()  # parameters that got a gradient and that no optimizer has
    parameters: tuple[ParameterReading, ...] = ()
    optimizers: tuple[OptimizerReading, ...] = ()

    @property
    def norm(self) -> float | None:
        """L2 norm of the gradient of everything measured on this step; None: no gradient."""
        norms = [reading.norm for reading in self.parameters if reading.norm is not None]
        return math.hypot(*norms) if norms else None

    @property
    def update(self) -> float | None:
        """``||dw||/||w||`` of the weight in the middle, biases left out; None: none was measured."""
        updates = [r.update for r in self.parameters if r.update is not None and r.fan > 1]
        return statistics.median(updates) if updates else None

    @property
    def clip_ratio(self) -> float | None:
        """Share of the gradient's length that clipping left, of the optimizer that was clipped most; None: unknown."""
        ratios = [ratio for reading in self.optimizers if (ratio := reading.clip_ratio) is not None]
        return min(ratios, default=None)

    @property
    def short_window(self) -> bool:
        """Whether this gradient is smaller than its like by accident: divided by more micro-batches than there were."""
        return self.micro_batches < self.accumulation

    @property
    def moved(self) -> bool:
        """Whether the weights really moved on this step."""
        if not self.parameters:  # an engine keeps them to itself
            return not self.skipped and any(reading.stepped and reading.norm for reading in self.optimizers)
        return not self.skipped and any(reading.update for reading in self.parameters)
