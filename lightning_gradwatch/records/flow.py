"""How much gradient each layer of a ledger gets, beside the head's: what vanishing is judged and explained by."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lightning_gradwatch.records.frame import Frame, Ledger, Segment
from lightning_gradwatch.records.inside import flow_inside

# Averaging over positions divides a gradient, and the sum over the same positions in the weights' gradient gives it
# back: such a loss starves nobody.  The same holds for taking slices.
_HARMLESS = ("pool", "shape")


def charged(segment: Segment) -> float:
    """The decades of a segment that count: those lost by averaging or slicing, or at a learned scale, do not."""
    return max(0.0, segment.decades) if segment.family in _HARMLESS or _is_scale(segment) else segment.decades


def _is_scale(segment: Segment) -> bool:
    """Whether it multiplies by a parameter: a gate or scale that begins small on purpose, and learns by itself."""
    return segment.family == "other" and bool(segment.modules) and {o.name for o in segment.operations} == {"Mul"}


def flow_by_layer(ledger: Ledger) -> dict[str, float]:
    """Layer -> decades of gradient at its output, relative to the head's output; head first.

    A layer that is used several times (weight sharing, recurrence) learns from its best-fed use, so that one counts.

    Example:
        >>> flow_by_layer(Ledger(name="loss", target="a.weight", target_layer="a", segments=(), start=0.0, end=0.0))
        {'a': 0.0}
    """
    flow: dict[str, float] = {}
    level = 0.0
    for segment in ledger.body:
        if segment.modules:
            for module in _layers(segment):
                flow[module] = max(flow.get(module, -math.inf), level)
        level += charged(segment)
    flow[ledger.target_layer] = max(flow.get(ledger.target_layer, -math.inf), level)
    return flow


def _layers(segment: Segment) -> tuple[str, ...]:
    """What gets the gradient that enters a segment; the block around an opaque operation's layers is none of them."""
    own = () if segment.family == "opaque" else (segment.layer,)
    return (*own, *segment.modules)


def flow_in(frame: Frame, ledger: Ledger) -> dict[str, float]:
    """``flow_by_layer``, with the layers that the ledger does not show told by their parameters' gradients.

    Compiled regions and reentrant checkpoints are one operation of the graph each; see ``records.inside`` for how far
    such a number can be trusted.

    Args:
        frame: the frame that the ledger belongs to.
        ledger: one of its ledgers.
    """
    flow = flow_by_layer(ledger)
    return {**flow, **flow_inside(frame, ledger, flow)}


def path_to(ledger: Ledger, layer: str) -> Sequence[Segment]:
    """The segments from the head's output down to that layer's output."""
    body = ledger.body
    last = max(
        (i for i, segment in enumerate(body) if layer in (segment.layer, *segment.modules) and segment.modules),
        default=None,
    )
    return body if last is None or layer == ledger.target_layer else body[:last]
