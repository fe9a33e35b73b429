"""The network and its input in float64."""

from __future__ import annotations

import math

from lightning_gradwatch.verify.interventions.base import Change, Scene, floats

_NARROW = ("float16", "bfloat16")


def double_precision(scene: Scene) -> Change | None:
    """Every number with 52 bits and an exponent down to -1022, where narrower ones are on the way."""
    ledger = scene.ledger
    ends = ledger is not None and any(s.decades == -math.inf or s.dtype in _NARROW for s in ledger.segments)
    if not ends:  # the fit is trained under an autocast that a copy is not
        return None
    scene.model.double()
    return Change(told=lambda: "all numbers in float64", batch=lambda batch: floats(batch, lambda x: x.double()))
