"""Weights that decay has shrunk."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.lower_decay import LowerDecay
from tests.remedies.findings import cause, finding, stack

FADED = replace(cause("learning_rate", 0.9), code="GW604")


def test_comes_first_where_decay_is_to_blame():
    for kind in (Kind.VANISHING, Kind.STALLED):
        told = [remedy.name for remedy in prescribe(finding(FADED, cause("depth", 0.1), kind=kind), stack())]
        assert told[0] == "LowerDecay"
        assert "RaiseRate" not in told


def test_is_silent_where_the_rate_is():
    assert LowerDecay().weigh(finding(cause("learning_rate")), stack()) is None


def test_only_what_is_larger():
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    groups = [
        {"params": net[0].parameters(), "weight_decay": 0.5},
        {"params": net[1].parameters(), "weight_decay": 1e-5},
    ]
    optimizer = torch.optim.AdamW(groups)
    applied = LowerDecay(1e-4).apply(net, optimizer)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-4, 1e-5]
    applied.undo()
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 1e-5]
    assert LowerDecay(1.0).apply(net, optimizer).left == ("AdamW has no weight decay above 1.",)
    assert LowerDecay().apply(net, optimizer, where=["1"]).changed == ("AdamW",)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]


def test_the_line_of_the_users_own_source():
    pattern, becomes = LowerDecay(1e-4).rewrites()[0]
    assert re.sub(pattern, becomes, "AdamW(p, weight_decay = 5e-1, lr=1)") == "AdamW(p, weight_decay=0.0001, lr=1)"


def test_an_argument_that_is_none():
    with pytest.raises(WrongArgument, match="`to` must be a number of at least 0"):
        LowerDecay(-1.0)
