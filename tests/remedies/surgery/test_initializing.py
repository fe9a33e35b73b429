"""Which layers are drawn, by which scheme, and which stay."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from lightning_gradwatch import Initialize
from tests.remedies.surgery.networks import Branches, Functional, Image


def spread_is(weight, wanted):
    return weight.detach().double().std().item() == pytest.approx(wanted, rel=5 / math.sqrt(2 * weight.numel()))


def mlp(act, width=64):
    return nn.Sequential(nn.Linear(width, width), act, nn.Linear(width, width), act, nn.Linear(width, 10))


def learnt(layer):
    """As training leaves it: one direction that stands out."""
    with torch.no_grad():
        layer.weight += 0.5 * torch.outer(torch.ones(layer.weight.shape[0]), torch.randn(layer.weight.shape[1]))
    return layer


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def moved(model, before):
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        (nn.ReLU(), math.sqrt(2 / 64)),
        (nn.GELU(), math.sqrt(2 / 64)),
        (nn.LeakyReLU(0.5), math.sqrt(2 / 1.25 / 64)),
        (nn.PReLU(), math.sqrt(2 / 1.0625 / 64)),
        (nn.SELU(), math.sqrt(1 / 64)),
        (nn.Tanh(), math.sqrt(2 / 128)),
        (nn.Sigmoid(), math.sqrt(2 / 128)),
    ],
    ids=str,
)
def test_auto_goes_by_the_activation_that_follows(act, wanted):
    model = mlp(act)
    Initialize().apply(model)
    assert spread_is(model[0].weight, wanted)
    assert spread_is(model[2].weight, wanted)
    assert spread_is(model[4].weight, math.sqrt(2 / 74))  # the head: nothing follows
    assert not any(model[i].bias.any() for i in (0, 2, 4))


def test_it_says_what_it_did():
    said = Initialize().apply(Image()).did
    assert said == (
        "conv, squeeze.fc.2: drawn by Xavier for the sigmoid that follows, biases 0.",
        "squeeze.fc.0, head: drawn by Xavier for the tanh that follows, biases 0.",
    )
    assert Initialize("he").apply(Branches()).did[0].startswith("blocks.a.0: drawn by He for the elu that follows")
    assert "sigmoid" in Initialize().apply(Functional()).did[0]


def test_a_gain_of_ones_own():
    model = mlp(nn.ReLU())
    Initialize("xavier", gain=3.0).apply(model)
    assert spread_is(model[0].weight, 3 * math.sqrt(2 / 128))


def test_the_seed_decides_and_the_process_does_not_notice():
    one, other, third = (mlp(nn.ReLU()) for _ in range(3))
    state = torch.get_rng_state()
    Initialize(seed=1).apply(one)
    Initialize(seed=1).apply(other)
    Initialize(seed=2).apply(third)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(one[0].weight, other[0].weight)
    assert not torch.equal(one[0].weight, third[0].weight)


def test_frozen_lazy_and_hooked_layers_stay():
    model = mlp(nn.ReLU())
    model[2].requires_grad_(False)
    before = weights(model)
    applied = Initialize().apply(model)
    assert moved(model, before) == {"0.weight", "0.bias", "4.weight", "4.bias"}
    assert applied.left == ("2 stays: is frozen.",)


def test_what_was_learnt_stays_with_its_biases_unless_asked():
    model = mlp(nn.ReLU())
    learnt(model[0])
    before = weights(model)
    applied = Initialize().apply(model)
    assert moved(model, before) == {"2.weight", "2.bias", "4.weight", "4.bias"}
    assert "0 stays: learnt" in applied.left[0]
    Initialize(keep_trained=False).apply(model)
    assert {"0.weight", "0.bias"} <= moved(model, before)


def test_where_most_was_learnt_a_small_head_counts_as_learnt():
    model = mlp(nn.ReLU())
    learnt(model[0])
    learnt(model[2])
    assert not Initialize().apply(model)
    why = Initialize().applies_to(model).why_not
    assert why.startswith("0, 2, 4 stay: learnt")


@pytest.mark.parametrize("value", [0.3, math.nan, math.inf])
def test_what_is_spoilt_is_always_drawn(value):
    model = mlp(nn.ReLU())
    learnt(model[0])
    with torch.no_grad():
        model[2].weight.fill_(value)
    assert "2" in Initialize().apply(model).changed
    assert torch.isfinite(model[2].weight).all()
    assert spread_is(model[2].weight, math.sqrt(2 / 64))


def test_zeros_stay_unless_all_are_or_they_are_named():
    def zero(model, *places):
        for place in places:
            nn.init.zeros_(model[place].weight)
        return model

    applied = Initialize().apply(model := zero(mlp(nn.ReLU()), 4))
    assert not model[4].weight.any()
    assert "4 stays: all zero" in applied.left[0]
    assert Initialize(where=["4"]).apply(model).changed == ("4",)
    assert Initialize().apply(zero(mlp(nn.ReLU()), 0, 2, 4)).changed == ("0", "2", "4")


def test_tied_weights_follow_the_first():
    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.body, self.head = nn.Embedding(20, 8), nn.Linear(8, 8), nn.Linear(8, 20, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x):
            return self.head(torch.relu(self.body(self.embed(x))))

    model = Language()
    before = weights(model)
    assert Initialize().apply(model).changed == ("body",)
    assert torch.equal(model.head.weight, before["embed.weight"])
    assert Initialize(where=["embed", "head"]).apply(model).changed == ("embed",)
    assert model.head.weight is model.embed.weight


def test_norms_only_where_they_are_named_or_broken():
    model = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False), nn.ReLU(), nn.Linear(4, 2)
    )
    model(torch.randn(16, 4) + 3)
    before = copy.deepcopy(model.state_dict())
    Initialize().apply(model)
    assert torch.equal(model[1].running_mean, before["1.running_mean"])
    assert Initialize(where=["1", "2"]).apply(model).changed == ("1", "2")
    assert not model[1].running_mean.any()
    model[1].running_var[0] = torch.nan
    assert "1" in Initialize().apply(model).changed
    assert torch.isfinite(model[1].running_var).all()


def test_the_optimizer_forgets_the_momentum_of_what_is_gone():
    model = mlp(nn.ReLU())
    model[4].requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    learnt(model[2])
    model(torch.randn(4, 64)).sum().backward()
    optimizer.step()
    kept = {id(model[2].weight), id(model[2].bias)}
    applied = Initialize().apply(model, optimizer)
    assert {id(parameter) for parameter in optimizer.state} == kept
    optimizer.step()
    applied.undo()
    assert len(optimizer.state) == 4
    assert optimizer.state[model[0].weight]["step"] == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)),
        lambda: nn.LSTM(4, 8),
        lambda: nn.TransformerEncoderLayer(8, 2, 16),
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.Tanh()),
        lambda: nn.Linear(4, 4),
    ],
    ids=["weight norm", "lstm", "transformer", "transposed", "one layer"],
)
@pytest.mark.parametrize("scheme", ["auto", "xavier", "he", "lecun", "orthogonal", "lsuv"])
def test_every_scheme_on_every_layer_and_back(make, scheme):
    model = make()
    before = copy.deepcopy(model.state_dict())
    applied = Initialize(scheme).apply(model)
    assert applied
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    applied.undo()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_lsuv_gives_every_layer_the_variance():
    model = mlp(nn.ReLU())
    x, seen = torch.randn(128, 64), []
    applied = Initialize("lsuv").apply(model, batches=lambda: [(x, None)])
    assert applied.did[-1] == "0, 2, 4: scaled to outputs of variance 1 on a batch."
    for i in (0, 2, 4):
        model[i].register_forward_hook(lambda _m, _i, out: seen.append(out.var(correction=0).item()))
    model(x)
    assert seen == pytest.approx([1, 1, 1], rel=0.03)


def test_without_a_batch_lsuv_falls_back_and_says_so():
    model = mlp(nn.ReLU())
    for batches, why in [(None, "no batch"), (lambda: [torch.ones(2, 3)], "RuntimeError")]:
        applied = Initialize("lsuv").apply(model, batches=batches)
        assert why in applied.left[0]
        assert applied.did[0] == "0, 2: drawn by He for the relu that follows, biases 0."
        assert spread_is(model[0].weight, math.sqrt(2 / 64))


class OneWay(nn.Module):
    """A parametrization without a way back."""

    def forward(self, weight):
        return weight.abs()


def test_a_parametrization_that_takes_no_weight_stays_and_the_rest_is_drawn():
    model = mlp(nn.ReLU())
    nn.utils.parametrize.register_parametrization(model[0], "weight", OneWay())
    before = weights(model)
    applied = Initialize().apply(model)
    assert applied.left == ("0 stays: its parametrization takes no new weight (RuntimeError).",)
    assert moved(model, before) == {"2.weight", "2.bias", "4.weight", "4.bias"}
