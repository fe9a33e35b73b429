"""Layers that can be autoencoders, and those that cannot."""

from __future__ import annotations

import pytest

from lightning_gradwatch.remedies.pretrain_layerwise import PretrainLayerwise
from tests.remedies.findings import cause, finding, stack, with_layers

RULE = PretrainLayerwise()
FOUND = finding(cause("depth"))


def test_counts_the_hidden_layers():
    assert "the 20 hidden layers" in RULE.weigh(FOUND, stack(depth=20)).advice


@pytest.mark.parametrize(
    "anatomy",
    [with_layers(stack(), "RNN"), with_layers(stack(), "MultiheadAttention"), stack(depth=0)],
    ids=["recurrent", "attention", "no hidden layer"],
)
def test_does_not_apply(anatomy):
    assert RULE.weigh(FOUND, anatomy) is None
