"""A sick fit on real data, healed or not."""

import importlib

import torch

from lightning_gradwatch import GradWatch
from lightning_gradwatch.cases.classifier import classifier
from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.cases.fitting import quiet, score
from lightning_gradwatch.cases.networks import mlp
from tests.callbacks.fits import NAMESPACES

STEPS = 100


def sick(namespace=NAMESPACES[0], seed=0, **options):
    """Twenty sigmoids, which no optimizer trains."""
    torch.manual_seed(seed)
    return classifier(mlp(**options), namespace=namespace)


def trainer(namespace=NAMESPACES[0], callbacks=(), steps=STEPS, **options):
    """A quiet Trainer."""
    pl = importlib.import_module(namespace)
    silent = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    options = {**silent, "max_steps": steps, "max_epochs": -1, "accelerator": "cpu", **options}
    return pl.Trainer(callbacks=list(callbacks), **options)


def healer(**options):
    """A watch that heals and hides no error of its own."""
    return GradWatch(on_vanishing="heal", strict=True, verbose=False, **options)


def fitted(module, callbacks=(), namespace=NAMESPACES[0], **options):
    """Fit; the trainer."""
    made = trainer(namespace, callbacks, **options)
    with quiet():
        made.fit(module, training_batches())
    return made


def accuracy(module):
    """Of the digits held out."""
    return score(module.network)[1]


def actions(watch):
    """What was done."""
    return [event.action for event in watch.report.events]
