"""What the forget gates of a fused LSTM let through, where its time steps are not to be seen.

A fused layer over raw data has no gradient at its inputs, and so no profile through time.  Its cell keeps the share
sigmoid(b) of what it held, a step, as long as inputs and states add nothing to the biases b of its forget gates: what
is left of a gradient after T steps is that share to the power T (Gers, Schmidhuber & Cummins 2000, section 3).
"""

from __future__ import annotations

import math

from lightning_gradwatch.records.frame import Frame
from lightning_gradwatch.records.inner import TimeProfile

OPERATION = "ForgetGate"
# A gate that is meant to be learned begins near one half; below this it is shut.
CLOSED = 0.05
_LEAST = 1e-30


def reckoned(frame: Frame) -> tuple[TimeProfile, ...]:
    """Profiles through time of the fused layers whose forget gates are shut, as their biases have it.

    Example:
        >>> reckoned(Frame(step=0, global_step=0, epoch=0, batch=0, loss=None))
        ()
    """
    seen = {profile.layer for profile in frame.times}
    ledger = frame.ledgers[0].name if frame.ledgers else "loss"
    profiles: list[TimeProfile] = []
    for one in frame.operations:
        if one.operation != OPERATION or one.slope is None or one.slope >= CLOSED:
            continue
        if one.layer in seen or one.rows < 2:
            continue
        step, last = math.log10(max(one.slope, _LEAST)), one.rows - 1
        profiles.append(
            TimeProfile(ledger=ledger, layer=one.layer, decades=(step * last, step * last / 2, 0.0), steps=one.rows)
        )
    return tuple(profiles)
