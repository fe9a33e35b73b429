"""Fits with a treatment: that it is done in a real Trainer, and that it can be taken back as if it had never been."""

from __future__ import annotations

import copy

import torch
from torch import nn

from tests.callbacks.fits import data, module, trainer


def deep(activation=nn.Sigmoid, depth=3):
    """A small classifier of what ``tests.callbacks.fits.data`` has."""
    torch.manual_seed(0)
    parts = [part for i in range(depth) for part in (nn.Linear(16 if i else 64, 16), activation())]
    return nn.Sequential(*parts, nn.Linear(16, 10))


def fitted(treatment, namespace, net, optimizer="Adam", **options):
    """A LightningModule after 8 steps with the treatment as a callback, and its trainer."""
    options.setdefault("max_steps", 8)
    one, run = module(namespace, net, optimizer), trainer(namespace, [treatment], **options)
    run.fit(one, data())
    return one, run


def steps(model, optimizer, count=5):
    """Some steps of training by hand."""
    for x, y in list(data(count)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def state(model, optimizer):
    """Everything that training changes."""
    return copy.deepcopy((model.state_dict(), optimizer.state_dict()))


def same(one, other):
    """Whether two such states are the same bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def leaves_no_trace(treatment, net, **options):
    """Whether applied, trained and undone is bit for bit never applied, and training goes on as if it never was."""
    twin = copy.deepcopy(net)
    models = net, twin
    optimizers = [torch.optim.Adam(model.parameters(), 1e-2) for model in models]
    for model, optimizer in zip(models, optimizers, strict=True):
        steps(model, optimizer, 3)
    applied = treatment.apply(net, optimizers[0], **options)
    assert applied
    assert not same(state(net, optimizers[0]), state(twin, optimizers[1]))
    steps(net, optimizers[0], 20)
    applied.undo()
    undone = same(state(net, optimizers[0]), state(twin, optimizers[1]))
    for model, optimizer in zip(models, optimizers, strict=True):
        steps(model, optimizer, 4)
    return undone and same(state(net, optimizers[0]), state(twin, optimizers[1])) and repr(net) == repr(twin)
