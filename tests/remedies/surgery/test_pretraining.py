"""Greedy denoising autoencoders: what is learnt, what is left alone, what is as before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.remedies.surgery.pretraining import Plan, pretrain

DRAW = torch.Generator().manual_seed(1)
X = torch.randn(64, 3, generator=DRAW) @ torch.randn(3, 6, generator=DRAW) + 1  # three numbers behind six


def stack(*between, width=6):
    return nn.Sequential(nn.Linear(6, width), *between, nn.Linear(width, 6), nn.Tanh(), nn.Linear(6, 2))


def treat(net, batches=lambda: [(X, None)], steps=60, noise=0.0, where=None):
    told = []
    edit = Edit(net, where=where, batches=batches)
    with own_ground(0):
        pretrain(edit, Plan(steps, noise, 1e-2, lambda name, step, value: told.append((name, step, value()))))
    return edit, told


def twin(net, steps, rate=1e-2):
    """The first layer's pretraining without noise, written as one would by hand, in float64."""
    decoder = nn.Linear(net[0].out_features, 6).double()
    with own_ground(0):
        torch.rand_like(X)  # the noise of the pass that looks what the layer is given
        decoder.load_state_dict(nn.Linear(net[0].out_features, 6).state_dict())
    optimizer = torch.optim.Adam([*net[0].parameters(), *decoder.parameters()], rate)
    wanted = (X - X.mean(0)).double()
    wanted /= wanted.square().mean().sqrt()
    for _ in range(steps):
        loss = (decoder(net[1](net[0](X.double()))) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_equals_the_slow_twin():
    net = stack(nn.Sigmoid())
    slow = copy.deepcopy(net).double()
    _, told = treat(net, steps=5, where=["0"])
    expected = twin(slow, 5)
    assert [step for _, step, _ in told] == list(range(5))
    assert told[0][2] > told[-1][2]
    assert told[-1][2] == pytest.approx(expected, rel=1e-4)


def test_layers_learn_in_order_each_on_what_the_ones_below_make():
    net = stack(nn.Tanh())
    before = copy.deepcopy(net.state_dict())
    edit, told = treat(net)
    assert edit.changed == ["0", "2"]
    assert [name for name, _, _ in told] == ["0"] * 60 + ["2"] * 60
    assert all(not torch.equal(net.state_dict()[key], before[key]) for key in ("0.weight", "2.weight"))
    assert all(torch.equal(net.state_dict()[key], before[key]) for key in ("4.weight", "4.bias"))
    # Six units can tell all of three numbers but for their squashing.
    assert all(float(sentence.split("-> ")[1].split(" ")[0]) < 0.3 for sentence in edit.did)


def test_norms_learn_with_their_layer_and_their_statistics_stay():
    net = stack(nn.BatchNorm1d(6), nn.PReLU())
    running, batches = net[1].running_mean.clone(), net[1].num_batches_tracked.clone()
    net[0].weight.grad = torch.ones_like(net[0].weight)
    treat(net)
    assert not torch.equal(net[1].weight, torch.ones(6))
    assert net[2].weight.item() != 0.25
    assert torch.equal(net[1].running_mean, running)
    assert torch.equal(net[1].num_batches_tracked, batches)
    assert torch.equal(net[0].weight.grad, torch.ones_like(net[0].weight))
    assert net[1].weight.grad is None


def test_convolutions_learn():
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.Tanh(),
        nn.Flatten(), nn.Linear(36, 2),
    )  # fmt: skip
    images = torch.rand(16, 1, 6, 6).cumsum(-1)
    edit, _ = treat(net, lambda: [images])
    assert edit.changed == ["0", "3"]


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.block, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        return self.head(x + torch.tanh(self.block(x)))


def tied():
    net = stack(nn.Tanh())
    net[2].weight = net[0].weight
    return net


def frozen():
    net = stack(nn.Tanh())
    net[0].requires_grad_(False)
    return net


def twice():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("net", "changed", "said"),
    [
        (Skip(), ["first"], "block: a skip connection"),
        (tied(), [], "shares weights"),
        (frozen(), ["2"], "0: it is frozen"),
        (twice(), [], "computes 2 times"),
        (nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 1)), [], "could not be run on the inputs alone: RuntimeError"),
    ],
    ids=["skip", "tied", "frozen", "twice", "shapes"],
)
def test_what_is_left_alone(net, changed, said):
    edit, _ = treat(net)
    assert edit.changed == changed
    assert any(said in sentence for sentence in edit.left), edit.left


def test_a_layer_that_cannot_learn_is_as_it_was():
    net = stack(nn.Tanh())
    nn.init.zeros_(net[0].weight)
    before = copy.deepcopy(net.state_dict())
    edit, _ = treat(net, lambda: [(torch.ones(4, 6), None)])
    assert not edit.changed
    assert all("same for every sample" in sentence for sentence in edit.left)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    random = [torch.randn(8, 6) for _ in range(60)]
    with own_ground(0):
        edit = Edit(net, batches=lambda: random)
        pretrain(edit, Plan(60, 0.0, 1e3, lambda *_: None))  # a rate at which nothing learns
    assert all("did not fall" in sentence for sentence in edit.left)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_without_batches():
    said = Edit(stack(nn.Tanh()))
    pretrain(said, Plan(1, 0.0, 1.0, lambda *_: None))
    assert "no training batches here" in said.left[0]
    edit, _ = treat(stack(nn.Tanh()), list)
    assert "no training batch that could be read" in edit.left[0]
    once = iter([(X, None)] * 2)
    with pytest.raises(WrongArgument, match="`batches` must be a function that gives the batches anew at every call"):
        treat(stack(nn.Tanh()), lambda: once)


def test_hidden_numbers_are_means():
    from lightning_gradwatch.remedies.surgery.pretraining import _Learning

    net = stack(nn.Tanh())
    learning = _Learning(net, net[0], Plan(1, 0.5, 1.0, lambda *_: None), "0")
    corrupted = learning._corrupted(X)
    hidden = corrupted != X
    assert 0.4 < hidden.float().mean() < 0.6
    assert torch.allclose(corrupted[hidden], X.mean(0).expand_as(X)[hidden])
