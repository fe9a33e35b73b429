"""What a stretch of a fit looked like: one robust number for each thing that an action could change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_gradwatch.records.pulse import Pulse
from lightning_gradwatch.verify import robust


@dataclass(frozen=True, kw_only=True)
class Window:
    """Some successive steps, summed up; None: not measured in them."""

    step: float  # in the middle
    flow: float | None  # decades from the head to the layer whose gradient is farthest from the head's, median
    flow_spread: float
    loss: float | None  # median
    loss_noise: float | None  # around its own trend
    loss_slope: float | None  # a step
    norm_noise: float | None  # of the gradient norm around its own trend, decades


def window(pulses: Sequence[Pulse], ledger: str) -> Window:
    """Sum up steps.

    Args:
        pulses: at least one, in order.
        ledger: name of the ledger that counts; of all, the worst one, where none is called so.
    """
    flows = [flow for one in pulses if (flow := _flow(one, ledger)) is not None]
    losses = [(float(one.step), one.loss) for one in pulses if one.loss is not None]
    finite = [(step, loss) for step, loss in losses if math.isfinite(loss)]
    norms = [(float(p.step), math.log10(p.norm)) for p in pulses if p.norm and math.isfinite(p.norm)]
    broken = 2 * len(finite) <= len(losses)  # a median of which half is not finite is not
    return Window(
        step=robust.median([float(one.step) for one in pulses]) or 0.0,
        flow=robust.median(flows),
        flow_spread=robust.spread([flow for flow in flows if math.isfinite(flow)]),
        loss=(math.inf if losses else None) if broken else robust.median([loss for _, loss in finite]),
        loss_noise=robust.noise(finite),
        loss_slope=robust.slope(finite),
        norm_noise=robust.noise(norms),
    )


def _flow(one: Pulse, ledger: str) -> float | None:
    named = one.flows.get(ledger)
    return named if named is not None else max(one.flows.values(), key=abs, default=None)
