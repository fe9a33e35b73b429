"""Larger steps for layers that lag behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies.boost_depth_lr import BoostDepthLR
from lightning_gradwatch.remedies.surgery.at_step import running_on
from tests.remedies.findings import cause, finding, stack, with_layers

RULE = BoostDepthLR()


def test_last_among_what_is_advised_for_a_gradient_that_still_arrives():
    said = RULE.weigh(finding(cause("depth"), **{"decades lost": 2.5}), stack())
    assert "2.5 decades are lost" in said.reason
    assert said.fit < 0.2


@pytest.mark.parametrize(
    ("found", "anatomy"),
    {
        "lost altogether": (finding(cause("depth"), **{"decades lost": 9.0}), stack()),
        "explodes": (finding(cause("depth"), kind=Kind.EXPLODING), stack()),
        "over time": (finding(cause("activation"), layers=("rnn",)), with_layers(stack(None, depth=1), "RNN")),
        "another cause": (finding(cause("data")), stack()),
    }.values(),
    ids=["lost altogether", "explodes", "over time", "another cause"],
)
def test_is_silent_where_it_cannot_help(found, anatomy):
    assert RULE.weigh(found, anatomy) is None


@pytest.mark.parametrize(
    ("name", "wrong", "rule"),
    [
        ("strength", 0.0, "a number above 0, at most 1"),
        ("strength", 2.0, "a number above 0, at most 1"),
        ("most", 0.5, "a finite number of at least 1"),
        ("most", float("inf"), "a finite number of at least 1"),
        ("window", 0, "a whole number of at least 1"),
    ],
)
def test_wrong_arguments(name, wrong, rule):
    with pytest.raises(WrongArgument, match=f"`{name}` must be {rule}, got {wrong}"):
        BoostDepthLR(**{name: wrong})


def deep():
    torch.manual_seed(0)
    model = mlp(depth=8, width=16, activation="tanh")
    return model, torch.optim.SGD(model.parameters(), lr=0.05)


def fitted(model, optimizer, count=30):
    torch.manual_seed(1)
    for _ in range(count):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.randn(32, 64)), torch.randint(0, 10, (32,))).backward()
        optimizer.step()


def updates(treated):
    """Size of the last step of each layer beside its weights."""
    model, optimizer = deep()
    if treated:
        BoostDepthLR(window=5).apply(model, optimizer)
    fitted(model, optimizer)
    before = [p.detach().clone() for p in model.parameters() if p.dim() > 1]
    fitted(model, optimizer, 1)
    after = [p.detach() for p in model.parameters() if p.dim() > 1]
    return [float((new - old).norm() / old.norm()) for new, old in zip(after, before, strict=True)]


def test_the_layer_that_lags_most_steps_further_and_the_first_one_no_further():
    plain, boosted = updates(False), updates(True)
    assert min(boosted) > 1.5 * min(plain)
    assert max(boosted) < 1.1 * max(plain)


def test_works_on_an_optimizer_and_says_so():
    model, optimizer = deep()
    applied = BoostDepthLR().apply(model, optimizer)
    assert applied.did == ("Those of 9 layers that lag get up to 100 times the step of SGD, from step 20 on.",)
    assert "no optimizer yet" in BoostDepthLR().apply(deep()[0]).left[0]
    assert "at work" in BoostDepthLR().apply(model, optimizer).left[0]
    single = nn.Linear(2, 1)
    assert "fewer than two" in BoostDepthLR().apply(single, torch.optim.SGD(single.parameters(), lr=1.0)).left[0]


def test_a_tied_weight_is_boosted_once():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    model[2].weight = model[0].weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    BoostDepthLR().apply(model, optimizer)
    [boost] = running_on(optimizer)
    held = [id(p) for own in boost._layers.values() for p in own]
    assert len(held) == len(set(held)) == 5
