"""Sick fits that are decayed on their third step, and the rates that they should step with."""

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, module, network, trainer
from tests.remedies.optimizers import SCHEDULERS, Recorder

FACTOR, ACTS_AT = 0.1, 3  # the finding opens on the third measured step: the fourth step is the first decayed one


def watch(**options):
    return GradWatch(every_n_steps=1, on_vanishing="decay_lr", **{"decay_factor": FACTOR, "max_decays": 1} | options)


def groups(net, tensor=False):
    """Two groups with different rates; (``capturable`` needs an accelerator: not run here)."""
    rates = [torch.tensor(rate) if tensor else rate for rate in (0.1, 0.05)]
    parts = (net[:10].parameters(), net[10:].parameters())
    return Recorder([{"params": part, "lr": rate} for part, rate in zip(parts, rates, strict=True)], lr=rates[0])


def scheduled(schedule, interval="step", *, tensor=False):
    """A sick fit that ends with its Recorder in ``module.recorder``."""
    # A plateau is told the same in every fit: a decayed fit has another loss, so that its plateaus are others.
    fitted = module(NAMESPACES[0], network(), on_step=lambda m, batch_idx: m.log("stands still", 1.0))

    def configure_optimizers():
        fitted.recorder = groups(fitted.net, tensor)
        scheduler = SCHEDULERS[schedule](fitted.recorder)
        if scheduler is None:
            return fitted.recorder
        config = {"scheduler": scheduler, "interval": interval, "monitor": "stands still"}
        return {"optimizer": fitted.recorder, "lr_scheduler": config}

    fitted.configure_optimizers = configure_optimizers
    return fitted


def stepped(fitted, *callbacks, epochs=3, batches=4, **options):
    """The rates of every step of a fit."""
    fits = trainer(NAMESPACES[0], callbacks, max_epochs=epochs, **options)
    fits.fit(fitted, data(batches))
    return fitted.recorder.seen


def decayed(seen, start=ACTS_AT, factor=FACTOR):
    """What a fit's rates should be once they were decayed."""
    by = [factor if step >= start else 1.0 for step in range(len(seen))]
    return [pytest.approx([scale * rate for rate in rates], rel=1e-6) for scale, rates in zip(by, seen, strict=True)]
