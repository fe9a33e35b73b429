"""A measured step in a few numbers: what is compared before and after an action, and what a checkpoint can carry."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.records.frame import Frame, Ledger


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """What is left of a frame whose layers nobody asks for any more."""

    step: int
    skipped: bool = False
    loss: float | None = None
    norm: float | None = None  # L2 of the whole gradient
    flows: dict[str, float] = field(default_factory=dict[str, float])
    # by ledger: decades from the head to the layer whose gradient is farthest from the head's


def pulse(frame: Frame) -> Pulse:
    """The few numbers of one frame.

    Example:
        >>> pulse(Frame(step=7, global_step=7, epoch=0, batch=7, loss=2.3))
        Pulse(step=7, skipped=False, loss=2.3, norm=None, flows={})
    """
    flows = {ledger.name: flow for ledger in frame.ledgers if (flow := _farthest(frame, ledger)) is not None}
    return Pulse(step=frame.step, skipped=frame.skipped, loss=frame.loss, norm=frame.norm, flows=flows)


def _farthest(frame: Frame, ledger: Ledger) -> float | None:
    return max((flow for flow in flow_in(frame, ledger).values() if not math.isnan(flow)), key=abs, default=None)
