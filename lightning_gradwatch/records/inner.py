"""What single operations inside a network did on one measured step, wherever in the graph they stand."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OperationReading:
    """One activation, softmax or normalisation, as its autograd node remembers the batch."""

    layer: str  # the module whose output it acts on, as named_modules() says it; "" where unknown
    operation: str  # "Sigmoid", "Relu", "Softmax", "NativeBatchNorm"
    family: str  # "activation", "attention" or "norm"
    slope: float | None = None  # mean |slope| over its largest possible slope; of a softmax 0 where it is one-hot
    dead: float | None = None  # share of its units that let nothing through for the whole batch
    silent: float | None = None  # share of those that did not on any of the last ``window`` measured steps either
    window: int = 0
    units: int = 0  # features, or channels
    rows: int = 0  # values a unit is judged by; of a normalisation those behind one mean and variance
    gates: bool = False  # what comes out is multiplied with something that is computed too
    uses: int = 1  # operations that were taken together: the time steps of a recurrent layer


@dataclass(frozen=True, kw_only=True)
class TimeProfile:
    """Gradient at every use of a layer that is used again and again: time step by time step."""

    ledger: str  # name of the loss's ledger
    layer: str  # the recurrent module, as named_modules() says it
    decades: tuple[float, ...]  # log10 of the gradient norm at its output, first step first; thinned if there are many
    steps: int  # how many there are

    @property
    def lost(self) -> float:
        """Decades between the best-fed step and the first one; inf where the first one gets nothing at all."""
        return max(self.decades) - self.decades[0] if self.decades else 0.0

    @property
    def grown(self) -> float:
        """Decades by which the first step gets more than the last one."""
        first, last = (self.decades[0], self.decades[-1]) if self.decades else (0.0, 0.0)
        return first - last if math.isfinite(first - last) else 0.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The first operation that made a number that is not finite."""

    layer: str  # the module whose output it acts on, or whose parameters it uses; "" where unknown
    operation: str  # "Log"
    forward: bool  # its result is not finite; else its derivative is not
    operand: float | None = None  # the value that it could not take, as far as it was kept: 0.0 for a logarithm
