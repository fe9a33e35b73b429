"""What fits that are interrupted and resumed have in common."""

import pytest

from tests.callbacks.fits import NAMESPACES, data, module, network
from tests.remedies.optimizers import SCHEDULERS, Recorder

EPOCH, EPOCHS = 20, 4
STEPS = EPOCH * EPOCHS

# What Lightning says of any fit that is resumed so.
MARKS = [
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`:UserWarning"),  # the saving callback
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended"),
]


class Batches:
    """Different batches, in an order that a checkpoint remembers: what Lightning calls a stateful loader."""

    def __init__(self, length=EPOCH):
        self.batches, self.next = list(data(length)), 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.next %= len(self.batches)  # Lightning takes as many as there are, and does not ask whether that is all
        while self.next < len(self.batches):
            self.next += 1
            yield self.batches[self.next - 1]

    def state_dict(self):
        return {"next": self.next}

    def load_state_dict(self, state):
        self.next = state["next"]


class Killed(Exception):
    """What ends a fit half-way."""


def scheduled(**options):
    """A sick fit under a schedule that forgets a rate that was scaled once."""
    fitted = module(NAMESPACES[0], network(), **options)

    def configure_optimizers():
        fitted.recorder = Recorder(fitted.parameters(), 0.05)
        scheduler = SCHEDULERS["CosineAnnealingWarmRestarts"](fitted.recorder)
        return {"optimizer": fitted.recorder, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    fitted.configure_optimizers = configure_optimizers
    return fitted
