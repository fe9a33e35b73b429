"""Splits the decades that a gradient gains on its way down between weights, residual sums, recurrence and depth.

The mirror of ``diagnose.losses``: weights are charged what they give beyond good initialisation, a residual sum what it
gives beyond its normalisation, and what any operation may give without harm is depth.  What weights gave only because
they have grown since the first step is the learning rate's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lightning_gradwatch.diagnose.losses import GAIN, MILD, is_residual, is_scale
from lightning_gradwatch.diagnose.weights import LARGE, above, excess, now, usual_excess, usual_growth
from lightning_gradwatch.records import Anatomy, Frame, Ledger, Segment
from lightning_gradwatch.records.flow import charged, path_to
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# A residual block adds a branch as large as what it is added to: the mean square doubles (Hanin & Rolnick 2018, theorem
# 6; Zhang et al. 2019, section 2).
DOUBLES = 0.5 * math.log10(2)
# Weights that have grown by half since the start did not begin like that.
_GREW = 1.5
THRESHOLDS = (
    Threshold(
        name="a block doubles",
        value=DOUBLES,
        unit="decades",
        why="a branch as large as its input: Hanin & Rolnick (2018), theorem 6; Zhang et al. (2019), section 2",
    ),
    Threshold(name="grew", value=_GREW, unit="times the first step's weights", why="by half: training did that"),
)


@dataclass(frozen=True, kw_only=True)
class Gains:
    """Where the decades between the head and the layer that gets most came from."""

    weights: float  # beyond He's or Xavier's, as the weights were at the start
    trained: float  # ... of these, since the weights have grown
    residual: float
    norm: float
    recurrence: float
    depth: float
    layers: int  # layers on the way
    blocks: int  # residual blocks among them
    total: float  # net decades gained


def gained(ledger: Ledger, layer: str, frame: Frame, anatomy: Anatomy, history: History) -> Gains:
    """Attribute what was gained between the head and that layer.

    Args:
        ledger: the ledger that shows the growth.
        layer: the layer that gets most.
        frame: the frame of that ledger.
        anatomy: what the network is made of.
        history: what the frames so far told.
    """
    path = [s for s in path_to(ledger, layer) if charged(s) == s.decades and math.isfinite(s.decades)]
    acting = [s for s in path if s.family == "activation"]
    gain = math.fsum(GAIN.get(s.operations[0].name, 0.0) for s in acting) / max(1, len(acting))
    weights = [max(0.0, s.decades - gain - _shape(s, anatomy)) for s in path if s.family == "linear"]
    blocks = [s for s in path if is_residual(s)]
    inside = [_of_weights(s, anatomy, frame, history) for s in path if s.family == "block"]
    sums = [s.decades for s in path if is_residual(s) or (blocks and is_scale(s))]
    normed = math.fsum(s.decades for s in path if s.family == "norm")
    shrunk = min(0.0, math.fsum(s.decades for s in path if s.family == "linear"))
    norm = max(0.0, normed + shrunk)
    recurrence = math.fsum(max(0.0, s.decades) for s in path if s.family == "recurrent")
    own = math.fsum(max(0.0, gain - MILD) for gain in weights) + math.fsum(inside)
    residual = max(0.0, math.fsum(sums) + min(0.0, normed) - (math.fsum(inside) if blocks else 0.0))
    total = math.fsum(s.decades for s in path)
    trained = own * _share_of_training(frame, history, anatomy)
    return Gains(
        weights=own - trained,
        trained=trained,
        residual=residual,
        norm=norm,
        recurrence=recurrence,
        depth=math.fsum(min(gain, MILD) for gain in weights) + _rest(path, bool(blocks)) - (not blocks) * sum(inside),
        layers=max(1, len({s.layer for s in path})),
        blocks=len(blocks),
        total=total,
    )


def _rest(path: list[Segment], residual: bool) -> float:
    known = ("activation", "linear", "norm", "recurrent")
    rest = [s for s in path if s.family not in known and not is_residual(s) and not (residual and is_scale(s))]
    return math.fsum(max(0.0, s.decades) for s in rest)


def _shape(segment: Segment, anatomy: Anatomy) -> float:
    """What Xavier's or He's weights of that shape give a gradient; He's count by the inputs alone."""
    found = anatomy.layer(segment.modules[0]) if len(segment.modules) == 1 else None
    if found is None or not found.fan_in or not found.fan_out:
        return 0.0
    return max(0.0, 0.5 * math.log10(found.fan_out / found.fan_in))


def _of_weights(block: Segment, anatomy: Anatomy, frame: Frame, history: History) -> float:
    """Decades that a block gains because its weights are large; 0 where they are not, or are not known."""
    known = [value for name in block.modules if (value := _excess(name, anatomy, frame, history)) is not None]
    if not known or max(known) < math.log10(LARGE):
        return 0.0
    return max(0.0, block.decades - DOUBLES * is_residual(block))


def _excess(name: str, anatomy: Anatomy, frame: Frame, history: History) -> float | None:
    measured = above(anatomy.layer(name), now(frame, name))
    return excess(history, anatomy, name) if measured is None else measured


def _share_of_training(frame: Frame, history: History, anatomy: Anatomy) -> float:
    """Share of what large weights do that is owed to their growth since the first measured step, by decades."""
    growth = usual_growth(frame, history)
    if growth is None or not _GREW <= growth < math.inf:
        return 0.0
    return math.log10(growth) / (math.log10(growth) + max(0.0, usual_excess(history, anatomy) or 0.0))
