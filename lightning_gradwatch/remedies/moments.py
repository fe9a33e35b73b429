"""When a fit applies a treatment."""

from __future__ import annotations

from enum import Enum


class Moment(Enum):
    """The moments of a fit at which a network can be treated."""

    SETUP = "setup"  # before the optimizers are made and a checkpoint's weights are loaded
    FIT = "fit"  # the optimizers are made, their state is not loaded yet
    DATA = "data"  # right before the first batch: what has to see the data
