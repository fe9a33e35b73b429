"""The handful of curves that a person watches, whatever the depth of the network."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from lightning_gradwatch.records import Finding, Frame, Ledger
from lightning_gradwatch.records.flow import charged, flow_in

SCALARS: dict[str, tuple[str, str]] = {
    "gradwatch/loss": ("loss", "the loss that the measured gradient belongs to, unscaled"),
    "gradwatch/gradient_norm": ("L2 norm", "size of the whole gradient, before clipping"),
    "gradwatch/decades_lost": (
        "decades (powers of 10)",
        "gradient lost between the head and the deepest layer; 3: a thousandth arrives; negative: it grows",
    ),
    "gradwatch/decades_lost_in_worst_segment": (
        "decades (powers of 10)",
        "the part of it that the single worst stretch of the backward pass loses",
    ),
    "gradwatch/activation_slope": (
        "share, 0..1",
        "mean slope of the flattest activation over the largest slope it can have; near 0: saturated",
    ),
    "gradwatch/dead_units": (
        "share, 0..1",
        "units that are zero for the whole batch, in the layer that has most of them",
    ),
    "gradwatch/update_ratio_smallest": ("||dw||/||w||", "step of the parameter that moves least, beside its own size"),
    "gradwatch/update_ratio_median": ("||dw||/||w||", "step of the parameter in the middle, beside its own size"),
    "gradwatch/clip_ratio": (
        "share, 0..1",
        "length of the gradient that clipping left, of the optimizer that was clipped most; 1: not clipped",
    ),
    "gradwatch/learning_rate": (
        "learning rate",
        "what the first parameter group stepped with: the schedule's rate, decayed by on_vanishing='decay_lr'",
    ),
    "gradwatch/learning_rate_scale": (
        "factor",
        "what on_vanishing='decay_lr' multiplies every learning rate by; 1: untouched",
    ),
    "gradwatch/open_findings": ("count", "alarms that are open now: warnings and worse, not resolved"),
}
"""Every key that is logged: unit and meaning.  The one source for docstrings and documentation."""


def scalars(frame: Frame, findings: Sequence[Finding]) -> dict[str, float]:
    """The values of ``SCALARS`` on one step: always all of its keys, in its order, NaN where unknown.

    A step that the AMP scaler skipped knows nothing about gradients: its infinities are the scaler's search.

    Args:
        frame: the measured step.
        findings: the findings that are open now.

    Example:
        >>> values = scalars(Frame(step=0, global_step=0, epoch=0, batch=0, loss=2.3), ())
        >>> values["gradwatch/loss"], values["gradwatch/gradient_norm"], values["gradwatch/open_findings"]
        (2.3, nan, 0.0)
    """
    ledgers = () if frame.skipped else frame.ledgers
    body = [segment for ledger in ledgers for segment in ledger.body]
    updates = [] if frame.skipped else _known(reading.update for reading in frame.parameters)
    values = (
        _or_nan(frame.loss),
        math.nan if frame.skipped else _or_nan(frame.norm),
        0.0 - _smallest(_flow(frame, ledger) for ledger in ledgers),
        0.0 - _smallest(charged(segment) for segment in body),
        _smallest(segment.slope for segment in body),
        0.0 - _smallest(None if segment.dead is None else -segment.dead for segment in body),
        _smallest(updates),
        statistics.median(updates) if updates else math.nan,
        math.nan if frame.skipped else _or_nan(frame.clip_ratio),
        frame.rates[0] if frame.rates else math.nan,
        float(frame.rate_scale),
        float(sum(finding.is_alarm for finding in findings)),
    )
    return dict(zip(SCALARS, values, strict=True))


def _flow(frame: Frame, ledger: Ledger) -> float:
    """Decades from the head to the deepest layer, as they are judged: what pooling averages away starves nobody.

    Where nothing passes nothing arrives, whatever comes behind.
    """
    if ledger.closed:
        return list(flow_in(frame, ledger).values())[-1]
    decades = [charged(segment) for segment in ledger.body]
    if -math.inf in decades:
        return math.nan if math.inf in decades else -math.inf
    return math.fsum(decades)


def _smallest(values: Iterable[float | None]) -> float:
    return min(_known(values), default=math.nan)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and not math.isnan(value)]


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
