"""New weights for every kind of layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from lightning_gradwatch.remedies.surgery.drawing import (
    Draw,
    draw,
    family,
    hindrance,
    is_off_scale,
    is_spoilt,
    is_zero,
    put,
    weights,
)

XAVIER = Draw("xavier", 1.0)


def spread_is(weight, wanted):
    return weight.double().std().item() == pytest.approx(wanted, rel=4 / math.sqrt(2 * weight.numel()))


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4), (nn.GRUCell, 3), (nn.LSTMCell, 4)])
def test_recurrent_layers_are_drawn_gate_by_gate(kind, gates):
    layer = kind(40, 30)
    draw(layer, XAVIER, set())
    own = dict(layer.named_parameters())
    into = next(p for name, p in own.items() if name.startswith("weight_ih"))
    again = next(p for name, p in own.items() if name.startswith("weight_hh"))
    for gate in range(gates):
        rows = slice(30 * gate, 30 * (gate + 1))
        assert spread_is(into[rows], math.sqrt(2 / 70))
        assert torch.allclose(again[rows] @ again[rows].T, torch.eye(30), atol=1e-5)
    for name, bias in own.items():
        if "bias" in name:
            is_forget = gates == 4 and name.startswith("bias_ih")
            assert bias.sum() == (30 if is_forget else 0)
            assert bias[30:60].sum() == bias.sum()


def test_an_lstm_with_projection_and_two_directions():
    layer = nn.LSTM(20, 16, num_layers=2, bidirectional=True, proj_size=8)
    changed = draw(layer, XAVIER, set())
    assert len(changed) == len(list(layer.parameters()))
    assert spread_is(layer.weight_hr_l0, math.sqrt(2 / 24))
    block = layer.weight_hh_l1_reverse[:16]
    assert torch.allclose(block.T @ block, torch.eye(8), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"kdim": 12, "vdim": 20}, {"add_bias_kv": True}], ids=str)
def test_attention_is_three_layers(options):
    layer = nn.MultiheadAttention(32, 4, **options)
    draw(layer, XAVIER, set())
    wanted = [32, options.get("kdim", 32), options.get("vdim", 32)]
    own = layer.in_proj_weight
    parts = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight] if own is None else own.chunk(3)
    assert all(spread_is(part, math.sqrt(2 / (32 + fan_in))) for part, fan_in in zip(parts, wanted, strict=True))
    assert not layer.in_proj_bias.any()
    assert layer.bias_k is None or layer.bias_k.any()


def test_an_embedding_keeps_its_size_unless_that_is_off():
    usual, off = nn.Embedding(200, 50, padding_idx=3), nn.Embedding(200, 50)
    nn.init.normal_(usual.weight, std=0.02)
    nn.init.normal_(off.weight, std=1e-5)
    assert not is_off_scale(usual)
    assert is_off_scale(off)
    for layer in (usual, off):
        draw(layer, XAVIER, set())
    assert not usual.weight[3].any()
    assert usual.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert spread_is(off.weight, 1.0)


def test_norms_begin_again():
    layer = nn.BatchNorm1d(3)
    nn.init.zeros_(layer.weight)
    nn.init.ones_(layer.bias)
    draw(layer, XAVIER, set())
    assert torch.equal(layer.weight, torch.ones(3))
    assert not layer.bias.any()


def test_tied_weights_are_drawn_once():
    one, other, seen = nn.Linear(4, 4), nn.Linear(4, 4), set()
    other.weight = one.weight
    draw(one, XAVIER, seen)
    before = one.weight.clone()
    assert draw(other, XAVIER, seen) == [other.bias]
    assert torch.equal(one.weight, before)


def test_a_frozen_part_stays():
    layer = nn.Linear(4, 4)
    layer.bias.requires_grad_(False)
    before = layer.bias.clone()
    assert draw(layer, XAVIER, set()) == [layer.weight]
    assert torch.equal(layer.bias, before)


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_a_parametrized_weight_is_set_through_its_parametrization(wrap):
    layer = wrap(nn.Linear(64, 64))
    before = layer.weight.clone()
    draw(layer, Draw("he", math.sqrt(2)), set())
    assert not torch.allclose(layer.weight, before)
    if wrap is parametrizations.weight_norm:
        assert spread_is(layer.weight, math.sqrt(2 / 64))
        put(layer, "weight", torch.full((64, 64), 3.0))
        assert torch.allclose(layer.weight, torch.full((64, 64), 3.0))


def lazy():
    return nn.LazyLinear(2)


def frozen():
    return nn.Linear(2, 2).requires_grad_(False)


def pruned():
    return prune.l1_unstructured(nn.Linear(2, 2), "weight", 1)


def whole():
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int8), requires_grad=False)
    layer.bias.requires_grad_(False)
    return layer


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize(
    ("make", "why"),
    [(lazy, "first batch"), (frozen, "frozen"), (pruned, "pruning"), (whole, "frozen"), (lambda: nn.Linear(2, 2), "")],
)
def test_what_hinders(make, why):
    told = hindrance(make())
    assert why in told
    assert bool(told) is bool(why)


def test_what_is_spoilt_and_what_is_zero():
    constant, zero, broken, norm = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.LayerNorm(2)
    nn.init.constant_(constant.weight, 0.5)
    nn.init.zeros_(zero.weight)
    broken.bias.data[0] = torch.nan
    assert [is_spoilt(layer) for layer in (constant, zero, broken, norm)] == [True, False, True, False]
    assert [is_zero(layer) for layer in (constant, zero)] == [False, True]
    norm.weight.data[1] = torch.inf
    assert is_spoilt(norm)


def test_families():
    assert family(nn.Bilinear(1, 1, 1)) == "dense"
    assert family(nn.GroupNorm(1, 1)) == "norm"
    assert family(nn.PReLU()) == ""
    assert list(weights(nn.Linear(1, 1))) == ["weight"]
