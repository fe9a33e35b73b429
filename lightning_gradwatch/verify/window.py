"""What a stretch of a fit looked like: one robust number for each thing that an action could change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_gradwatch.records import Frame
from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.verify import robust


@dataclass(frozen=True, kw_only=True)
class Window:
    """Some successive frames, summed up; None: not measured in them."""

    step: float  # in the middle
    flow: float | None  # decades from the head to the layer whose gradient is farthest from the head's, median
    flow_spread: float
    loss: float | None  # median
    loss_noise: float | None  # around its own trend
    loss_slope: float | None  # a step
    norm_noise: float | None  # of the gradient norm around its own trend, decades


def window(frames: Sequence[Frame], ledger: str) -> Window:
    """Sum up frames.

    Args:
        frames: at least one, in order.
        ledger: name of the ledger that counts; of all, the worst one, where none is called so.
    """
    flows = [flow for frame in frames if (flow := _flow(frame, ledger)) is not None]
    losses = [(float(frame.step), frame.loss) for frame in frames if frame.loss is not None]
    finite = [(step, loss) for step, loss in losses if math.isfinite(loss)]
    norms = [(float(f.step), math.log10(f.norm)) for f in frames if f.norm and math.isfinite(f.norm)]
    broken = 2 * len(finite) <= len(losses)  # a median of which half is not finite is not
    return Window(
        step=robust.median([float(frame.step) for frame in frames]) or 0.0,
        flow=robust.median(flows),
        flow_spread=robust.spread([flow for flow in flows if math.isfinite(flow)]),
        loss=(math.inf if losses else None) if broken else robust.median([loss for _, loss in finite]),
        loss_noise=robust.noise(finite),
        loss_slope=robust.slope(finite),
        norm_noise=robust.noise(norms),
    )


def _flow(frame: Frame, ledger: str) -> float | None:
    named = [one for one in frame.ledgers if one.name == ledger] or frame.ledgers
    flows = [flow for one in named for flow in flow_in(frame, one).values() if not math.isnan(flow)]
    return max(flows, key=abs, default=None)
