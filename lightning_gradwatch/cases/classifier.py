"""The LightningModule around a case's network, in either Lightning."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lightning_gradwatch import _lightning


class _Steps:
    """What the module does in either Lightning; says nothing that belongs to one of them."""

    network: nn.Module
    rate: float

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        x, y = batch
        loss = cross_entropy(self.network(x), y)
        self.log("train_loss", loss)  # type: ignore[attr-defined]  # Lightning's
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.network.parameters(), lr=self.rate)


def classifier(network: nn.Module, rate: float = 1e-3, namespace: str | None = None) -> Any:
    """A LightningModule that trains ``network`` by Adam on cross entropy and logs ``train_loss``.

    The network maps (batch, features) to class scores (batch, classes).  ``namespace`` forces ``"lightning.pytorch"``
    or ``"pytorch_lightning"``; by default it is the first that is installed.

    Raises:
        WrongArgument: ``namespace`` is neither.
        MissingExtra: that Lightning is not installed.
    """
    module = _class(namespace)()
    module.network, module.rate = network, rate
    return module


@functools.cache
def _class(namespace: str | None) -> type[Any]:
    return type("Classifier", (_Steps, _lightning.namespace(namespace).LightningModule), {})
