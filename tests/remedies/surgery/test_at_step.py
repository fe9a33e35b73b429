"""What acts at every step of an optimizer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lightning_gradwatch import DecayLR
from lightning_gradwatch.remedies.surgery import at_step
from lightning_gradwatch.remedies.surgery.at_step import AtStep, Within, chosen, groups_of, label, running_on, start
from lightning_gradwatch.remedies.surgery.edit import Edit


class Tells(AtStep):
    def __init__(self, told="it"):
        super().__init__(told)
        self.heard = []

    def begins(self, optimizer):
        self.heard.append("begins")

    def moves(self, optimizer):
        assert not torch.is_grad_enabled()
        self.heard.append("moves")


def made():
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    groups = [{"params": part.parameters()} for part in net]
    return net, torch.optim.SGD(groups, lr=0.1)


def test_with_a_closure_the_gradients_come_in_between():
    _, optimizer = made()
    tells = Tells()
    tells.attach(optimizer)
    assert optimizer.step(lambda: tells.heard.append("closure") or 7.0) == 7.0
    optimizer.step()
    assert tells.heard == ["begins", "closure", "moves", "begins", "moves"]
    tells.detach()
    optimizer.step()
    assert len(tells.heard) == 5


def test_found_again_and_not_in_a_copy():
    _, optimizer = made()
    first, second = Tells("one"), Tells("other")
    for tells in (first, second):
        tells.attach(optimizer)
    assert running_on(optimizer) == [first, second]
    assert running_on(optimizer, "other") == [second]
    assert running_on(copy.deepcopy(optimizer)) == []
    assert running_on(object()) == []


def test_an_edit_starts_it_once_and_its_undo_stops_it():
    net, optimizer = made()
    edit = Edit(net, [optimizer])
    assert start(edit, optimizer, Tells())
    assert not start(edit, optimizer, Tells())
    assert edit.left == ["it is at work on SGD already; twice is as good as once."]
    assert not start(edit, object(), Tells())
    for act in edit.undone:
        act()
    assert running_on(optimizer) == []


def test_parts_that_are_asked_for():
    net, optimizer = made()
    edit = Edit(net, [optimizer], ["1"])
    assert chosen(edit) == {id(p) for p in net[1].parameters()}
    assert groups_of(edit, optimizer) == [optimizer.param_groups[1]]
    assert Within({id(net[0].weight)})(optimizer.param_groups[0]) is False
    assert groups_of(Edit(net, [optimizer]), optimizer) == optimizer.param_groups
    assert chosen(Edit(net, [optimizer])) is None


def test_names():
    net, optimizer = made()
    other = torch.optim.Adam(net.parameters())
    assert label(Edit(net, [optimizer]), optimizer) == "SGD"
    assert label(Edit(net, [optimizer, other]), other) == "Adam 1"


def test_a_copy_takes_along_what_acts_and_what_it_is_meant_for():
    layers = nn.ModuleList([nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)])
    optimizer = torch.optim.SGD([{"params": layer.parameters()} for layer in layers], lr=1.0)
    DecayLR(0.5, where=["1"]).apply(layers, optimizer)
    memo = {}
    twins = copy.deepcopy(layers, memo)
    twin = copy.deepcopy(optimizer, memo)
    assert at_step.running_on(twin) == []
    at_step.take_along(optimizer, twin, memo)
    for layer in twins:
        layer.weight.grad = torch.ones(1, 1)
    before = [layer.weight.item() for layer in twins]
    twin.step()
    assert [a - layer.weight.item() for a, layer in zip(before, twins, strict=True)] == pytest.approx([1.0, 0.5])
    (mine,), (theirs,) = at_step.running_on(optimizer), at_step.running_on(twin)
    assert (mine.steps, theirs.steps) == (0, 1)
