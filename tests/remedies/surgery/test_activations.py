"""What torch's activations are called, and how one is made."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.activations import KINDS, OFFERED, kind_above, kind_of, kind_of_function, made


class Mine(nn.Tanh):
    pass


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Hardtanh(), "hardtanh"),
        (nn.ReLU6(), "relu6"),  # a subclass of Hardtanh
        (nn.Threshold(0.0, 0.0), "relu"),
        (nn.Threshold(0.1, 20.0), "threshold"),
        (Mine(), ""),
        (nn.Softmax(dim=1), ""),
    ],
    ids=str,
)
def test_the_kind_of_a_module(module, kind):
    assert kind_of(module) == kind


def test_a_subclass_is_known_by_what_it_is_made_from():
    assert kind_above(Mine) == "tanh"
    assert kind_above(nn.ReLU6) == "relu6"
    assert kind_above(nn.Linear) == ""


def test_every_function_of_the_same_name_is_known():
    for kind in KINDS:
        function = getattr(nn.functional, kind, None) or getattr(torch, kind, None)
        assert function is None or kind_of_function(function) == kind
    assert kind_of_function(torch.special.expit) == "sigmoid"
    assert kind_of_function([]) == ""


@pytest.mark.parametrize("kind", OFFERED)
def test_the_new_one_works_in_place_as_the_old_one_did(kind):
    for old in (nn.ReLU(inplace=True), nn.Tanh()):
        new = made(kind, old, None)
        assert kind_of(new) == kind
        assert getattr(new, "inplace", old) in (getattr(old, "inplace", False), old)


def test_a_slope_is_made_where_the_network_is():
    assert made("prelu", nn.Tanh(), torch.ones(1, dtype=torch.float64)).weight.dtype == torch.float64
