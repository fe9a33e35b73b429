"""The curves as values that other callbacks can monitor: EarlyStopping, ModelCheckpoint, schedulers on a plateau."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lightning_gradwatch.records import Finding, Frame
from lightning_gradwatch.sinks import SCALARS, scalars


@dataclass
class Monitored:
    """The last known value of every curve.

    All keys are there from the start, so that early stopping finds them at its first look; NaN where nothing was ever
    known.  A step that knows nothing (skipped, without a loss) leaves the value before it standing: a NaN in between
    would end a fit that early stopping watches.

    Example:
        >>> monitored = Monitored()
        >>> monitored.learn([Frame(step=0, global_step=0, epoch=0, batch=0, loss=2.3)], ())
        >>> monitored.learn([Frame(step=1, global_step=1, epoch=0, batch=1, loss=None)], ())
        >>> monitored.values["gradwatch/loss"], monitored.values["gradwatch/gradient_norm"]
        (2.3, nan)
    """

    values: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SCALARS, math.nan))

    def learn(self, frames: Iterable[Frame], findings: Sequence[Finding]) -> None:
        """Take measured steps into account, in their order, and the findings so far."""
        for frame in frames:
            known = {key: value for key, value in scalars(frame, findings).items() if not math.isnan(value)}
            self.values.update(known)
