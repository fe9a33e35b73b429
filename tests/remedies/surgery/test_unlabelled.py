"""Inputs go in, labels stay out."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.unlabelled import compute, inputs_of, on_device_of
from tests.callbacks.fits import NAMESPACES, module

X, Y = torch.ones(3, 2), torch.zeros(3)


class Two(nn.Module):
    """Tells what it was given."""

    def __init__(self, names=("a", "b")):
        super().__init__()
        self.layer, self.seen, self.names = nn.Linear(2, 2), None, names

    def forward(self, a, b):
        self.seen = (a, b)


class Any(Two):
    def forward(self, **inputs):
        self.seen = inputs


class Whole(Two):
    def forward(self, batch):
        self.seen = batch


@pytest.mark.parametrize(
    ("net", "batch", "seen"),
    [
        (Two(), (1, 2, "y"), (1, 2)),
        (Two(), {"a": 1, "b": 2, "labels": "y", "more": 3}, (1, 2)),
        (Any(), {"a": 1, "target": "y"}, {"a": 1}),
        (Whole(), {"other": 1, "y": 2}, {"other": 1}),
        (Whole(), (1, "y"), 1),
        (Whole(), [1], 1),
        (Whole(), X, X),
    ],
    ids=["tuple", "by name", "any name", "a dict as a whole", "pair", "alone in a list", "tensor"],
)
def test_a_network_gets_the_inputs(net, batch, seen):
    compute(net, batch)
    assert net.seen is seen or net.seen == seen


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_module_without_a_forward_runs_its_step_and_logs_nothing(namespace):
    seen = []
    fitted = module(namespace, nn.Linear(2, 10), on_step=lambda m, i: seen.append(i))
    compute(fitted, (X, torch.zeros(3, dtype=torch.long)))
    assert seen == [0]
    assert "log" not in vars(fitted)
    fitted.automatic_optimization = False
    with pytest.raises(RuntimeError, match="steps the optimizers itself"):
        compute(fitted, (X, Y))


def test_copies_of_batches():
    pair = namedtuple("pair", "x y")
    batch = pair({"x": [X]}, torch.tensor([1]))
    copied = on_device_of(nn.Linear(2, 2, dtype=torch.float64), batch)
    assert type(copied) is pair
    assert copied.x["x"][0].dtype == torch.float64
    assert copied.y.dtype == torch.int64
    copied.y.zero_()
    assert batch.y.tolist() == [1]
    assert on_device_of(nn.Linear(2, 2), "words") == "words"
    assert inputs_of("words") == "words"
