"""Which factor of the updates is too small: the learning rate, the gradient as the loss hands it out, or the weights'.

An update beside its weights is rate x direction / weights.  Under plain gradient descent the direction is the gradient;
under an adaptive optimizer it is gradient / (its size + eps), which is 1 until the gradient comes near eps.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from lightning_gradwatch.diagnose.weights import above, sizes
from lightning_gradwatch.records import Anatomy, Frame, Ledger
from lightning_gradwatch.records.threshold import Threshold

# ||dw||/||w|| of an ordinary step.
ORDINARY_UPDATE = 1e-3
# Rates that people begin with: torch's defaults of Adam and its kin, and of SGD.
ORDINARY_RATE = {True: 1e-3, False: 1e-2}
_ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "adafactor", "lamb")
# Where gradients are below ten times eps, eps decides the step: Kingma & Ba (2015), algorithm 1.
NEAR_EPS = 10.0
THRESHOLDS = (
    Threshold(name="ordinary update", value=ORDINARY_UPDATE, unit="||dw|| / ||w||", why="the usual advice for a step"),
    Threshold(
        name="ordinary rate, adaptive",
        value=ORDINARY_RATE[True],
        unit="learning rate",
        why="torch's default of Adam and its kin",
    ),
    Threshold(
        name="ordinary rate, plain descent",
        value=ORDINARY_RATE[False],
        unit="learning rate",
        why="what people begin with",
    ),
    Threshold(
        name="near eps",
        value=NEAR_EPS,
        unit="times eps",
        why="below it eps decides the step: Kingma & Ba (2015), algorithm 1",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Stall:
    """Decades by which each factor falls short of an ordinary one; 0 where it does not, None where it is not known."""

    update: float | None  # of the weight in the middle, beside its weights
    rate: float  # decades
    rate_now: float
    ordinary: float  # rate that it is compared with
    adaptive: bool
    kind: str  # the optimizer's class; "" where unknown
    eps: float | None  # decades that eps takes; None: not adaptive, or not known
    gradient: float | None  # root mean square of the gradient's elements in the middle
    head: float | None  # log10 of the gradient that the loss hands to an element of a sample's output
    weights: float  # decades by which the weights stand above Xavier's


def stall(frame: Frame, ledger: Ledger | None, anatomy: Anatomy) -> Stall:
    """Compare every factor of this step's updates with an ordinary one.

    Args:
        frame: a measured step.
        ledger: the ledger of its loss; None: there is none.
        anatomy: what the network is made of.
    """
    optimizer = next(iter(frame.optimizers), None)
    kind = optimizer.kind if optimizer else ""
    adaptive = is_adaptive(frame)
    sizes = [r.rms for r in frame.parameters if r.rms is not None and r.fan > 1]
    gradient = statistics.median(sizes) if sizes else None
    rate = max(frame.rates, default=0.0)
    return Stall(
        update=frame.update,
        rate=max(0.0, math.log10(ORDINARY_RATE[adaptive] / rate)) if rate > 0 else 0.0,
        rate_now=rate,
        ordinary=ORDINARY_RATE[adaptive],
        adaptive=adaptive,
        kind=kind,
        eps=_eps(optimizer.eps if optimizer else None, gradient),
        gradient=gradient,
        head=head_gradient(ledger) if ledger else None,
        weights=_weights(frame, anatomy),
    )


def is_adaptive(frame: Frame) -> bool:
    """Whether the optimizer at hand divides each step by the gradient's own size, as far as its class tells."""
    return any(name in reading.kind.lower() for reading in frame.optimizers[:1] for name in _ADAPTIVE)


def head_gradient(ledger: Ledger) -> float | None:
    """log10 of what the loss hands to an element of the network's output, were it not averaged over all of them.

    An ordinary loss (cross entropy, a squared error of standardised targets, averaged) hands out about 1, whatever the
    size of the batch: averaging n elements divides the norm by sqrt(n).  None where it is not known.
    """
    before, body = ledger.segments[: ledger.head], ledger.body
    level = ledger.start + math.fsum(s.decades for s in before if math.isfinite(s.decades))
    if not body or not body[0].size or not math.isfinite(level):
        return None
    return level + 0.5 * math.log10(body[0].size)


def _eps(eps: float | None, gradient: float | None) -> float | None:
    if not eps or not gradient or not math.isfinite(gradient):
        return None
    return math.log10((gradient + eps) / gradient) if gradient <= NEAR_EPS * eps else 0.0


def _weights(frame: Frame, anatomy: Anatomy) -> float:
    size = sizes(frame)
    known = [value for one in anatomy.layers if (value := above(one, size.get(one.name))) is not None]
    return max(0.0, statistics.median(known)) if known else 0.0
