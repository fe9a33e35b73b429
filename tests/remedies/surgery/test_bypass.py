"""Where ways lead, and the projections on them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.bypass import add_ways, links, projection, residual_already
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.way import Sweeps
from tests.remedies.nets import Images, Named, Untraceable, sequential


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))

    def forward(self, x):
        return x + self.inside(x)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        return self.out((self.q(x) @ self.k(x).mT).softmax(-1) @ self.v(x))


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


def pairs(model):
    return [(link.start.name, link.end.name, bool(link.why_not)) for link in links(model)]


def test_every_layer_leads_to_the_next():
    assert pairs(sequential(depth=2)) == [("0", "2", False), ("2", "4", False)]
    assert pairs(Named()) == [("fc0", "fc1", False), ("fc1", "fc2", False), ("fc2", "head", False)]
    assert pairs(Untraceable(2)) == [("body.0", "body.1", False), ("body.1", "head", False)]
    assert pairs(Images())[-1] == ("c4", "fc", True)


def test_an_activation_of_two_paths_is_one_step():
    model = nn.Sequential(nn.Linear(4, 4), Swish(), nn.Linear(4, 4), Swish(), nn.Linear(4, 1))
    assert pairs(model) == [("0", "2", False), ("2", "4", False)]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(Attention(), id="branches"),
        pytest.param(nn.Sequential(nn.Linear(4, 4), nn.LSTM(4, 4)), id="recurrent"),
        pytest.param(nn.Sequential(nn.Linear(4, 4)), id="one layer"),
    ],
)
def test_there_is_no_link(model):
    assert pairs(model) == []


@pytest.mark.parametrize(
    ("model", "word"),
    [
        pytest.param(nn.Sequential(nn.ConvTranspose1d(2, 2, 2), nn.Conv1d(2, 2, 1)), "enlarges", id="transposed"),
        pytest.param(nn.Sequential(nn.Conv1d(2, 2, 1), nn.Linear(4, 1)), "another kind", id="other shape"),
        pytest.param(nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 1)), "frozen", id="frozen"),
    ],
)
def test_left_out_with_a_sentence(model, word):
    assert [word in link.why_not for link in links(model)] == [True]
    edit = Edit(model)
    add_ways(edit, 1.0)
    assert not edit.changed
    assert word in edit.left[0]


def test_a_layer_used_twice_gets_no_way():
    shared = nn.Linear(4, 4)
    found = links(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), shared, nn.ReLU(), shared))
    assert all("2 times" in link.why_not for link in found)
    assert found


def test_networks_with_ways_are_known():
    assert "add adds" in residual_already(nn.Sequential(Block(), Block()))
    named = Untraceable()
    named.downsample = nn.Linear(2, 2)
    assert "has a downsample" in residual_already(named)
    assert residual_already(Images()) == ""
    treated = sequential()
    add_ways(Edit(treated), 1.0)
    assert "already" in residual_already(treated)


def test_two_embeddings_that_are_added_are_no_way():
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(4, 4), nn.Embedding(4, 4)
            self.net = sequential()

        def forward(self, x):
            return self.net(self.words(x) + self.places(x))

    assert residual_already(Text()) == ""


@pytest.mark.parametrize(("have", "wanted"), [(32, 32), (64, 16), (16, 64)])
@pytest.mark.parametrize("kind", [nn.Linear, lambda *fans: nn.Conv2d(*fans, 3, stride=2)], ids=["linear", "conv"])
def test_a_projection_keeps_the_size(have, wanted, kind):
    torch.manual_seed(0)
    made = projection(kind(have, 8), wanted)
    shape = (4096, have) if isinstance(made, nn.Linear) else (64, have, 8, 8)
    assert made(torch.randn(shape)).square().mean().item() == pytest.approx(1, rel=0.05)
    assert made.bias is None


def test_a_projection_of_one_number_by_hand():
    """One feature to four: each weight is 1 or -1, the sign apart the number itself."""
    assert projection(nn.Linear(1, 2), 4).weight.norm().item() == pytest.approx(2)


def test_what_is_left_over_is_swept_by_the_module_that_is_called():
    untraceable, model = Untraceable(), nn.Sequential(nn.Flatten(), sequential())
    for one in (untraceable, model):
        add_ways(Edit(one), 1.0)
    held = [m for one in (untraceable, model) for m in one.modules() if any(map(_sweeps, m._forward_hooks.values()))]
    assert held == [untraceable, model[1]]


def _sweeps(hook):
    return isinstance(hook, Sweeps)
