"""The normalisation that a hook runs: what it computes, and on which layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.normalise import candidates, insert, norm_for, resolved
from tests.remedies.nets import Named, sequential


def treated(layer, kind="batch"):
    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(1))
    insert(Edit(model, where=["0"]), kind, drop_bias=False)
    assert hasattr(layer, "norm")
    return layer


def standardised(x, over):
    """The slow twin, in double precision: Ioffe & Szegedy (2015), algorithm 1; Ba et al. (2016), equation 3."""
    x = x.double()
    mean = x.mean(over, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(over, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize(
    ("layer", "shape", "kind", "over"),
    [
        pytest.param(nn.Linear(3, 4), (6, 3), "batch", (0,), id="batch"),
        pytest.param(nn.Linear(3, 4), (6, 5, 3), "batch", (0, 1), id="batch and time"),
        pytest.param(nn.Linear(3, 4), (6, 5, 3), "layer", (2,), id="layer over time"),
        pytest.param(nn.Conv1d(3, 4, 2), (6, 3, 9), "batch", (0, 2), id="series"),
        pytest.param(nn.Conv2d(3, 4, 2), (6, 3, 9, 9), "batch", (0, 2, 3), id="images"),
        pytest.param(nn.ConvTranspose3d(3, 4, 2), (2, 3, 4, 4, 4), "batch", (0, 2, 3, 4), id="volumes"),
        pytest.param(nn.Conv2d(3, 4, 2), (6, 3, 9, 9), "layer", (1, 2, 3), id="layer of an image"),
        pytest.param(nn.Conv2d(3, 4, 2), (3, 9, 9), "layer", (0, 1, 2), id="one image alone"),
    ],
)
def test_equals_the_slow_twin(layer, shape, kind, over):
    x = torch.randn(shape)
    plain = layer(x).detach()
    assert torch.allclose(treated(layer, kind)(x).double(), standardised(plain, over), atol=1e-5)


def test_a_value_worked_by_hand():
    """Outputs 1 and 3: mean 2, variance 1, so -1 and 1; the running mean moves a tenth of the way to 2."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    out = treated(layer)(torch.tensor([[1.0], [3.0]]))
    assert out.flatten().tolist() == pytest.approx([-1, 1], abs=1e-4)
    assert layer.norm.running_mean.item() == pytest.approx(0.2)


@pytest.mark.parametrize(("layer", "shape"), [(nn.Linear(3, 4), (1, 3)), (nn.Conv2d(3, 4, 2), (1, 3, 2, 2))])
def test_a_batch_of_one_value_takes_the_running_statistics(layer, shape):
    x = torch.randn(shape)
    layer = treated(layer).train()
    assert torch.equal(layer(x), layer.eval()(x))
    layer.train()(x).sum().backward()
    assert layer.weight.grad is not None
    assert torch.equal(layer.norm.running_mean, torch.zeros(4))


def test_in_half_precision_as_autocast_gives_it():
    layer = treated(nn.Linear(3, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(6, 3)).dtype is torch.bfloat16
    assert treated(nn.Linear(3, 4).double()).norm.weight.dtype is torch.float64


@pytest.mark.parametrize(("features", "groups"), [(64, 32), (48, 24), (3, 1), (7, 1), (12, 6)])
def test_groups_divide_the_channels_and_hold_two_at_least(features, groups):
    assert norm_for(nn.Conv1d(1, features, 1), "group").num_groups == groups


def judged(model):
    return {one.name: one.why_not for one in candidates(model)}


def test_the_last_layer_is_no_candidate_whatever_follows():
    assert judged(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.Sigmoid())) == {"0": ""}


@pytest.mark.parametrize(
    ("middle", "word"),
    [
        pytest.param([nn.BatchNorm1d(4), nn.ReLU()], "normalised already by 1", id="norm"),
        pytest.param([nn.Dropout(), nn.LayerNorm(4), nn.ReLU()], "normalised already by 2", id="norm behind dropout"),
        pytest.param([], "No activation", id="linear"),
        pytest.param([nn.Dropout(), nn.ReLU()], "", id="dropout first"),
    ],
)
def test_what_follows_decides(middle, word):
    said = judged(nn.Sequential(nn.Linear(4, 4), *middle, nn.Linear(4, 2)))["0"]
    assert word in said
    assert bool(word) is bool(said)


def test_layers_used_twice_and_insides_of_attention_are_left():
    shared = nn.Linear(4, 4)
    assert "used 2 times" in judged(nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(4, 1)))["0"]
    inside = nn.Sequential(nn.TransformerEncoderLayer(4, 1, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    assert judged(inside) == {"1": ""}


def test_where_order_is_unknown_a_norm_beside_a_layer_may_be_its_own():
    class Unordered(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.n1, self.n2, self.c = (
                nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Linear(4, 4),
            )  # fmt: skip

    assert "cannot be seen" in judged(Unordered())["a"]


@pytest.mark.parametrize(
    ("model", "batch", "kind"),
    [
        pytest.param(sequential(nn.ReLU), None, "batch", id="unknown batches"),
        pytest.param(sequential(nn.ReLU), torch.ones(16, 8), "batch", id="large enough"),
        pytest.param(sequential(nn.ReLU), (torch.ones(15, 8), 0), "group", id="small"),
        pytest.param(sequential(nn.ReLU), {"x": [torch.ones(2, 8)]}, "group", id="small, in a dict"),
        pytest.param(nn.Sequential(nn.Embedding(2, 2), sequential(nn.Tanh)), None, "layer", id="text"),
        pytest.param(nn.Sequential(nn.Embedding(2, 2), sequential()), torch.ones(2, 8), "batch", id="sigmoids"),
        pytest.param(Named(), torch.ones(2, 8), "batch", id="functional sigmoids"),
        pytest.param(nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()), torch.ones(2, 8), "group", id="output sigmoid"),
        pytest.param(nn.Sequential(nn.GRUCell(2, 2)), None, "layer", id="recurrent"),
    ],
)
def test_auto(model, batch, kind):
    assert resolved("auto", Edit(model, batches=None if batch is None else lambda: [batch])) == kind
    assert resolved("layer", Edit(model)) == "layer"
    assert resolved("auto", Edit(sequential(nn.ReLU), batches=lambda: 1 / 0)) == "batch"
