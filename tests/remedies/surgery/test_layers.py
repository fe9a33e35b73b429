"""Which layers are left as they are."""

from __future__ import annotations

import pytest
from torch import nn

from lightning_gradwatch.remedies.surgery.layers import given, taken, why_fixed


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        pytest.param(nn.Linear(2, 2).requires_grad_(False), "frozen", id="frozen"),
        pytest.param(nn.LazyConv2d(2, 3), "lazy", id="lazy"),
    ],
)
def test_says_why(layer, word):
    assert word in why_fixed("body.0", layer)
    assert why_fixed("body.0", layer).startswith("body.0 ")


def test_a_layer_with_a_frozen_bias_is_not_fixed():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    layer.bias.requires_grad_(False)
    assert why_fixed("x", layer) == ""


def test_what_it_takes_and_gives():
    assert [(taken(one), given(one)) for one in (nn.Linear(2, 3), nn.ConvTranspose1d(4, 5, 2))] == [(2, 3), (4, 5)]
