"""Small fits in either Lightning, quiet and fast."""

import importlib

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch.cases.networks import mlp

NAMESPACES = ("lightning.pytorch", "pytorch_lightning")
both_namespaces = pytest.mark.parametrize("namespace", NAMESPACES)


def data(batches=8, batch_size=16):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(batches * batch_size, 64, generator=generator)
    return DataLoader(TensorDataset(x, torch.randint(0, 10, (len(x),), generator=generator)), batch_size)


def network(sick=True, depth=10, **options):
    torch.manual_seed(0)
    options = options or ({"activation": "sigmoid"} if sick else {"activation": "relu", "init": "he"})
    return mlp(depth=depth, width=16, **options)


def module(namespace, net, optimizer="Adam", *, rate=1e-3, on_step=None):
    """A LightningModule around a network; ``on_step(module, batch_idx)`` runs first in every training step."""
    pl = importlib.import_module(namespace)

    class Fit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net

        def training_step(self, batch, batch_idx):
            if on_step is not None:
                on_step(self, batch_idx)
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return getattr(torch.optim, optimizer)(self.parameters(), lr=rate)

    return Fit()


def trainer(namespace, callbacks=(), logger=False, **options):
    pl = importlib.import_module(namespace)
    options.setdefault("max_epochs", 1)
    options.setdefault("enable_checkpointing", False)
    return pl.Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=logger,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )


def fit(watch, namespace=NAMESPACES[0], sick=True, net=None, **options):
    """One fit with the watch; the trained module."""
    fitted = module(namespace, network(sick) if net is None else net)
    trainer(namespace, [watch], **options).fit(fitted, data())
    return fitted
