"""A forward pass that leaves nothing behind."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.running import first_batch, forward, unseen
from tests.callbacks.fits import NAMESPACES, module


class Words(nn.Module):
    def __init__(self, **_):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, ids, mask=None):
        return self.layer(ids) * (1 if mask is None else mask)


class Whole(Words):
    def forward(self, batch):
        return self.layer(batch["ids"])


X = torch.ones(3, 2)


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        (nn.Linear(2, 1), X),
        (nn.Linear(2, 1), [X, torch.ones(3)]),
        (nn.Linear(2, 1).double(), (X, torch.ones(3))),
        (Words(), {"ids": X, "mask": 2, "labels": torch.ones(3)}),
        (Whole(), {"ids": X, "labels": torch.ones(3)}),
    ],
    ids=["tensor", "pair", "double", "named", "whole"],
)
def test_batches_as_fits_have_them(model, batch):
    assert forward(model, batch).shape == (3, 1)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_lightning_module_without_a_forward_has_one_network(namespace):
    fitted = module(namespace, nn.Linear(2, 1))
    assert forward(fitted, (X, None)).shape == (3, 1)
    fitted.other = nn.Linear(2, 1)
    with pytest.raises(NotImplementedError, match="has no forward"):
        forward(fitted, (X, None))
    boring = importlib.import_module(f"{namespace}.demos.boring_classes").BoringModel()
    assert forward(boring, torch.ones(3, 32)).shape == (3, 2)


def test_no_batch_is_said():
    assert first_batch(lambda: [5]) == 5
    for nothing in (None, list):
        with pytest.raises(RuntimeError, match="no batch"):
            first_batch(nothing)


def test_running_statistics_are_as_before():
    norm = nn.BatchNorm1d(2)
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    with unseen(norm):
        assert not norm(torch.randn(8, 2)).requires_grad
        assert norm.num_batches_tracked == 1
    assert all(torch.equal(buffer, before[name]) for name, buffer in norm.named_buffers())
