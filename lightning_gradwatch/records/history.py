"""What one frame cannot tell alone: how a fit began, how loss, gradient and updates went since, who ever was fed."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_gradwatch.records.codec import decode, encode
from lightning_gradwatch.records.frame import Frame
from lightning_gradwatch.records.threshold import Threshold

_KEPT = 64
# A loss that has fallen by a tenth says that what arrives of the gradient is enough.
PROGRESS = 0.1
# It stands where it has fallen by less than this, or by less than its own noise.
_STANDS = 0.02
# So many measured steps tell whether a loss is flat; over so many steps, whether it stands or only starts slowly.
_ENOUGH, _SETTLED = 12, 40
# Shares of its largest slope with which an activation is open, and flat.
_OPEN, _FLAT = 0.4, 0.1
# A fit that has given back so much of what its loss had fallen does not learn any more.
_GIVEN_BACK = 0.5
THRESHOLDS = (
    Threshold(
        name="learns", value=PROGRESS, unit="of the first loss", why="a fall by a tenth says that enough arrives"
    ),
    Threshold(name="given back", value=_GIVEN_BACK, unit="of the fall", why="such a fit does not learn any more"),
    Threshold(name="stands", value=_STANDS, unit="of the first loss", why="fallen by less, or by less than its noise"),
    Threshold(name="enough", value=_ENOUGH, unit="measured steps", why="so many tell whether a loss is flat"),
    Threshold(name="settled", value=_SETTLED, unit="steps", why="a loss that stands so long is not only slow to start"),
)


@dataclass(frozen=True)
class Moment:
    """One measured step in three numbers; nan where there is none."""

    step: int
    loss: float
    norm: float  # log10 of the whole gradient's L2 norm
    update: float  # of the weights, ||dw||/||w||: the one in the middle


@dataclass(frozen=True)
class Beginning:
    """The first measured step, as far as causes ask for it later."""

    slopes: dict[str, float] = field(default_factory=dict[str, float])  # by layer, of the flattest activation
    dead: dict[str, float] = field(default_factory=dict[str, float])  # by layer, share of its units
    weights: dict[str, float] = field(default_factory=dict[str, float])  # by parameter, root mean square
    rate: float = 0.0  # the largest learning rate


class History:
    """A summary of the frames so far, small whatever the length of the fit.

    Example:
        >>> history = History.of_losses(2.0, 2.1, 1.9, 1.0, 0.9, 1.1)
        >>> round(history.progress, 1)
        0.5
    """

    def __init__(self) -> None:
        self.moments: list[Moment] = []  # thinned so that they span the whole fit; the last ones without a gap
        self.fed: set[str] = set()  # parameters that got a gradient other than zero at least once
        self.unfed: dict[str, int] = {}  # of those, who got none since, on how many measured steps in a row
        self.slopes: dict[str, float] = {}  # by layer, of the flattest activation on the last measured step
        self.flattened: dict[str, int] = {}  # by layer, the step on which it went flat at once
        self.skipping_since: int | None = None  # first measured step of an unbroken run of steps that a scaler skipped
        self.beginning: Beginning | None = None
        # Largest ||dw||/||w|| so far: how large, of which parameter, on which step.
        self.boldest: tuple[float, str, int] = (0.0, "", -1)
        self.top_rate = 0.0  # the largest learning rate so far

    @classmethod
    def of_losses(cls, *losses: float) -> History:
        """A history in which nothing but the loss was measured."""
        history = cls()
        history.moments = [Moment(i, loss, math.nan, math.nan) for i, loss in enumerate(losses)]
        return history

    def add(self, frame: Frame) -> None:
        """Take one more frame into account."""
        if not frame.skipped:
            self.skipping_since = None
        elif self.skipping_since is None:
            self.skipping_since = frame.step
        silent = [r.name for r in frame.parameters if r.norm is None and r.name in self.fed]
        self.unfed = {name: self.unfed.get(name, 0) + 1 for name in silent}
        self.fed.update(r.name for r in frame.parameters if r.norm)
        if self.beginning is None:
            self.beginning = _beginning(frame)
        self.top_rate = max([self.top_rate, *frame.rates])
        if frame.skipped:
            return
        bold = max(((r.update or 0.0, r.name) for r in frame.parameters if r.fan > 1), default=(0.0, ""))
        if bold[0] > self.boldest[0]:
            self.boldest = (bold[0], bold[1], frame.step)
        slopes = _slopes(frame)
        sudden = {layer: frame.step for layer, slope in slopes.items() if _fell(self.slopes.get(layer), slope)}
        self.slopes, self.flattened = slopes, {**self.flattened, **sudden}
        self.moments.append(_moment(frame))
        if len(self.moments) > _KEPT:  # forget every other one of the older half
            half = _KEPT // 2
            self.moments[:half] = self.moments[:half:2]

    # --- the loss -----------------------------------------------------------------------------------------------------

    @property
    def losses(self) -> list[float]:
        """Those of the measured steps that are numbers."""
        return [moment.loss for moment in self.moments if math.isfinite(moment.loss)]

    @property
    def progress(self) -> float | None:
        """Share of its starting level that the loss has lost since; None before there are six losses to compare.

        The level is the median of the first and of the last third, so that one odd batch decides nothing.
        """
        losses = self.losses
        if len(losses) < 6:
            return None
        start, now = _levels(losses)
        return (start - now) / abs(start) if start else None

    @property
    def learns(self) -> bool:
        """Whether the loss has fallen by a tenth, and has not given half of it back."""
        progress, losses = self.progress, self.losses
        if progress is None or progress < PROGRESS:
            return False
        start, now = _levels(losses)
        best = min(statistics.median(losses[i : i + 3]) for i in range(len(losses) - 2))
        return now - best <= _GIVEN_BACK * (start - best)

    @property
    def flat(self) -> bool:
        """Whether the loss has not fallen, beyond its own noise, over a dozen measured steps."""
        return _is_flat(self.losses)

    @property
    def flat_now(self) -> bool:
        """The same of the last dozen measured steps alone: a fit that has come to rest may have learned before."""
        return _is_flat(self.losses[-_ENOUGH:])

    @property
    def stands(self) -> bool:
        """Whether the loss has been flat for so long that it does not only start slowly."""
        return self.flat and self.moments[-1].step - self.moments[0].step >= _SETTLED

    # --- what a checkpoint carries ------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All of it, as JSON data."""
        return {
            "moments": encode([[m.step, m.loss, m.norm, m.update] for m in self.moments]),
            "fed": sorted(self.fed),
            "unfed": dict(self.unfed),
            "slopes": encode(self.slopes),
            "flattened": dict(self.flattened),
            "skipping_since": self.skipping_since,
            "beginning": encode(self.beginning),
            "boldest": list(self.boldest),
            "top_rate": self.top_rate,
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> History:
        """What ``state`` gave, or an older version's, which knew less."""
        history = cls.of_losses(*map(float, state.get("losses", ())))
        history.moments += [Moment(int(s), *map(float, numbers)) for s, *numbers in state.get("moments", ())]
        history.fed, history.skipping_since = set(state["fed"]), state.get("skipping_since")
        history.unfed = {str(name): int(steps) for name, steps in state.get("unfed", {}).items()}
        history.slopes = {str(layer): float(slope) for layer, slope in state.get("slopes", {}).items()}
        history.flattened = {str(layer): int(step) for layer, step in state.get("flattened", {}).items()}
        beginning = state.get("beginning")
        history.beginning = None if beginning is None else decode(Beginning, beginning)
        size, name, step = state.get("boldest", history.boldest)
        history.boldest = (float(size), str(name), int(step))
        history.top_rate = float(state.get("top_rate", 0.0))
        return history


def _is_flat(losses: Sequence[float]) -> bool:
    if len(losses) < _ENOUGH:
        return False
    start, now = _levels(losses)
    noise = statistics.median(abs(a - b) for a, b in itertools.pairwise(losses)) / math.sqrt(len(losses) // 3)
    return start - now <= max(_STANDS * abs(start), 2 * noise)


def _levels(losses: Sequence[float]) -> tuple[float, float]:
    third = len(losses) // 3
    return statistics.median(losses[:third]), statistics.median(losses[-third:])


def _moment(frame: Frame) -> Moment:
    loss, update = frame.loss, frame.update
    return Moment(
        step=frame.step,
        loss=math.nan if loss is None else loss,
        norm=_log10(frame.norm),
        update=math.nan if update is None else update,
    )


def _log10(norm: float | None) -> float:
    if norm is None:
        return math.nan
    return math.log10(norm) if 0 < norm < math.inf else norm or -math.inf


def _slopes(frame: Frame) -> dict[str, float]:
    slopes: dict[str, float] = {}
    for one in frame.operations:
        if one.slope is not None and not one.gates:
            slopes[one.layer] = min(one.slope, slopes.get(one.layer, 1.0))
    return slopes


def _fell(before: float | None, now: float) -> bool:
    """Whether an activation that was open is flat on the next measured step: nothing that is learned comes so."""
    return before is not None and before >= _OPEN and now < _FLAT


def _beginning(frame: Frame) -> Beginning:
    return Beginning(
        slopes=_slopes(frame),
        dead={one.layer: one.dead for one in frame.operations if one.dead is not None},
        weights={r.name: r.weight for r in frame.parameters if r.weight is not None and r.fan > 1},
        rate=max(frame.rates, default=0.0),
    )
