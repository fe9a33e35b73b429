"""Which layers can be drawn anew, and that what they get is what a new one would have."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.verify.redraw import redraw

DRAWN = {
    "linear": lambda: nn.Linear(64, 200),
    "convolution": lambda: nn.Conv2d(4, 64, 3),
    "recurrent": lambda: nn.GRU(8, 16, num_layers=2),
    "embedding": lambda: nn.Embedding(50, 8),
    "attention": lambda: nn.MultiheadAttention(32, 4),
    "one unit": lambda: nn.Linear(64, 1),
}


@pytest.mark.parametrize("make", DRAWN.values(), ids=DRAWN)
def test_layers_as_torch_makes_them_are_drawn_anew(make):
    network = nn.Sequential(make())
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    kept, whole = redraw(network)
    assert kept == ()
    assert whole >= 1
    for name, parameter in network.named_parameters():
        if len(before[name].unique()) > 1:
            assert not torch.equal(parameter, before[name]), name
            assert float(parameter.detach().std()) == pytest.approx(float(before[name].std()), rel=0.5), name


def test_hardly_ever_is_one_kept_that_was_drawn():
    kept = [redraw(nn.Sequential(nn.Linear(width, 1)))[0] for width in (2, 4, 8, 16) for _ in range(50)]
    assert sum(map(bool, kept)) <= 10


def he(layer):
    nn.init.kaiming_normal_(layer.weight)
    return layer


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))


KEPT = {
    "He": lambda: he(nn.Linear(64, 64)),
    "of one's own class": Own,
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)),
    "weight norm, the old one": lambda: _old_weight_norm(nn.Linear(8, 8)),
}


def _old_weight_norm(layer):
    with pytest.warns(FutureWarning):
        return nn.utils.weight_norm(layer)


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
def test_layers_that_were_initialised_otherwise_stay_as_they_are(make):
    network = nn.Sequential(make(), nn.Linear(8, 8))
    before = [parameter.detach().clone() for parameter in network[0].parameters()]
    assert redraw(network) == (("0",), 2)
    assert all(torch.equal(a, b) for a, b in zip(before, network[0].parameters(), strict=True))


def test_constants_are_nobodys_draw():
    network = nn.Sequential(nn.LayerNorm(8), nn.BatchNorm1d(8), nn.Linear(8, 8))
    nn.init.zeros_(network[1].weight)
    nn.init.zeros_(network[2].weight)
    nn.init.zeros_(network[2].bias)
    assert redraw(network) == ((), 0)
    assert not network[1].weight.any()
    assert not network[2].weight.any(), "a head that begins at zero begins at zero"


def test_a_network_that_is_one_layer_is_known_by_its_class():
    layer = he(nn.Linear(64, 64))
    assert redraw(layer) == (("Linear",), 1)
