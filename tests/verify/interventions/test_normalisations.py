"""Normalisations come, move, or look at more values."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.cases.networks import cnn, mlp
from lightning_gradwatch.verify.interventions import normalisations
from tests.verify.proofs import digits, scene, tried


def test_a_normalisation_takes_what_weights_gave():
    network = mlp(20, activation="relu", init=("normal", 0.4))
    found = tried(network, "GW401", name="exploding:loss")
    assert 0.5 < found.recovered < 1.0, "behind ReLU a batch normalisation gains a little itself (Yang et al. 2019)"
    assert "a normalisation behind 20 layers" in found.proof or "a normalisation behind 19 layers" in found.proof


@pytest.mark.parametrize("rows", [64, 2])
def test_what_is_added_gives_mean_0_and_spread_1(rows):
    x = digits()[0][:rows]
    for network, dims in ((mlp(3, activation="relu"), (0,)), (cnn(3), (0, 2, 3))):
        known = scene(network, (digits()[0][:rows], digits()[1][:rows]))
        normalisations.added(known)
        layer = next(m for m in known.modules.values() if m._forward_hooks)
        made = []
        layer.register_forward_hook(lambda module, args, out, made=made: made.append(out))
        known.model(x)
        over = dims if rows == 64 or len(dims) > 1 else (1,)
        assert made[0].mean(over).abs().max() < 1e-4
        spread = made[0].std(over, correction=0)
        assert torch.allclose(spread[spread > 0.1], torch.ones_like(spread[spread > 0.1]), atol=1e-3)


class PostLN(nn.Module):
    """Blocks whose branch passes no gradient, so that the normalisation's loss is all that there is."""

    def __init__(self, depth=30):
        super().__init__()
        self.begin, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        self.branches = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(64) for _ in range(depth))
        for branch in self.branches:
            nn.init.xavier_normal_(branch.weight, gain=2)

    def forward(self, x):
        x = self.begin(x)
        for branch, norm in zip(self.branches, self.norms, strict=True):
            x = norm(x + branch(x.detach()))
        return self.head(x)


def test_normalisations_on_the_trunk_let_the_gradient_pass():
    network = PostLN()
    found = tried(network, "GW402", layers=("begin",))
    assert found.recovered > 0.9
    assert "30 normalisations letting the gradient through" in found.proof
    known = scene(network, layers=("begin",))
    normalisations.off_the_trunk(known)
    assert torch.equal(known.model(digits()[0]), network(digits()[0])), "the network computes what it did"


def test_torchs_transformer_blocks_are_turned_to_pre_ln():
    block = nn.TransformerEncoderLayer(64, 4, 64, dropout=0.0, batch_first=True)
    network = nn.Sequential(nn.Unflatten(1, (1, 64)), block, nn.Flatten(), nn.Linear(64, 10))
    known = scene(network, layers=())
    assert normalisations.off_the_trunk(known).told() == "the normalisations of 1 block inside their branches"
    assert known.model[1].norm_first
    assert not network[1].norm_first


def test_few_values_are_too_few_for_a_batch_normalisation():
    network = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 10))
    known = scene(network, tuple(part[:2] for part in digits()))
    change = normalisations.by_sample(known)
    assert change.told() == "1 normalisation over each sample's features"
    normed = known.model[:2](digits()[0][:2])
    assert normed.mean(1).abs().max() < 1e-5
    assert torch.allclose(normed.std(1, correction=0), torch.ones(2), atol=1e-4)


def test_without_normalisations_there_is_none_to_move():
    known = scene(mlp(3, activation="tanh"))
    assert normalisations.off_the_trunk(known) is None
    assert normalisations.by_sample(known) is None
