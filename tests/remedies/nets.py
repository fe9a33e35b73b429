"""Networks in the shapes that users write, and what every structural treatment of them keeps."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import nn
from torch.nn import functional as F

from lightning_gradwatch import checkup
from tests.callbacks.fits import data, module, network, trainer


def sequential(activation=nn.Sigmoid, depth=4, width=8):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 3))


class Named(nn.Module):
    """fc0 .. fc3 and functional activations; the third is narrower."""

    def __init__(self):
        super().__init__()
        self.fc0, self.fc1, self.fc2 = nn.Linear(8, 8), nn.Linear(8, 5), nn.Linear(5, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for layer in (self.fc0, self.fc1, self.fc2):
            x = torch.sigmoid(layer(x))
        return self.head(x)


class Images(nn.Module):
    """Strides, no padding, pooling."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.c3, self.c4 = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, padding=1)
        self.pool, self.fc = nn.MaxPool2d(2), nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.c2(F.relu(self.c1(x))))
        x = F.relu(self.c4(self.pool(F.relu(self.c3(x)))))
        return self.fc(x.mean((2, 3)))


class Untraceable(nn.Module):
    """A list of layers, and a ``forward`` that asks the data which way to go."""

    def __init__(self, depth=4):
        super().__init__()
        self.body = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        if x.sum() > 1e9:
            return x[..., :3]
        for layer in self.body:
            x = torch.relu(layer(x))
        return self.head(x)


NETS = {
    "sequential": (sequential, (16, 8)),
    "named": (Named, (16, 8)),
    "over time": (Named, (16, 7, 8)),
    "images": (Images, (16, 1, 20, 20)),
    "untraceable": (Untraceable, (16, 8)),
}


def made(name):
    """The network of that name, the same each time, and a batch."""
    kind, shape = NETS[name]
    torch.manual_seed(0)
    return kind(), torch.randn(shape)


def step(model, optimizer, x, times=1):
    for _ in range(times):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


def state(model, optimizer):
    """Everything there is to compare, by value."""
    values = {**model.state_dict(), **{f"{n} grad": p.grad for n, p in model.named_parameters() if p.grad is not None}}
    hooks = [(n, len(m._forward_hooks), len(m._forward_pre_hooks), type(m)) for n, m in model.named_modules()]
    return copy.deepcopy((values, hooks, optimizer.state_dict(), torch.get_rng_state()))


def same(one, other):
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else _same(one, other)


def _same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def assert_undone_bit_for_bit(treatment, name):
    """Apply, 20 steps, undo: as before; and what is fitted then is what a fit never touched gives."""
    (model, x), (untouched, _) = made(name), made(name)
    optimizers = [torch.optim.Adam(net.parameters(), 0.01) for net in (model, untouched)]
    for net, optimizer in zip((model, untouched), optimizers, strict=True):
        step(net, optimizer, x, 3)
    before = state(model, optimizers[0])
    applied = treatment.apply(model, optimizers[0])
    assert applied
    step(model, optimizers[0], x, 20)
    assert not same(state(model, optimizers[0]), before)
    applied.undo()
    assert same(state(model, optimizers[0]), before)
    for net, optimizer in zip((model, untouched), optimizers, strict=True):
        step(net, optimizer, x, 5)
    assert same(state(model, optimizers[0])[0], state(untouched, optimizers[1])[0])


def assert_travels(treatment, name):
    """A copy, a pickle and an equally treated network with the same state compute the same."""
    model, x = made(name)
    treatment.apply(model)
    step(model, torch.optim.SGD(model.parameters(), 0.1), x, 2)
    model.eval()
    fresh, _ = made(name)
    treatment.apply(fresh)
    fresh.load_state_dict(model.state_dict())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fresh.eval()):
        assert torch.equal(other(x), model(x))
        # Its hooks are its own: what happens to it does not reach the first.
        with torch.no_grad():
            before = model(x)
            for parameter in other.parameters():
                parameter.zero_()
            assert torch.equal(model(x), before)
            assert not torch.equal(other(x), before)


def assert_compiles(treatment, name):
    """In one graph, with the same outputs; the compiler's front end, whose back end is none of ours."""
    model, x = made(name)
    treatment.apply(model)
    step(model, torch.optim.SGD(model.parameters(), 0.1), x, 2)
    model.eval()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(x), model(x), atol=1e-6)


def decades(model):
    """How much of the head's gradient the first layer gets, as the checkup forecasts it."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand(64, 64, generator=generator), torch.randint(10, (64,), generator=generator)
    return checkup(model, batch, batches=2).forecast.expected


def assert_fits(treatment, namespace):
    """As a callback in a Trainer: trained, saved, and resumed with the same treatment."""
    fit = module(namespace, network(depth=4))
    name = next(name for name, _ in fit.named_parameters())
    before = dict(fit.named_parameters())
    run = trainer(namespace, [treatment], max_epochs=1)
    run.fit(fit, data(batches=4))
    assert treatment.applied
    new = {name: value for name, value in fit.named_parameters() if name not in before}
    assert new
    optimized = {id(p) for group in run.optimizers[0].param_groups for p in group["params"]}
    assert optimized == {id(p) for p in fit.parameters()}
    assert all(run.optimizers[0].state[value] for value in new.values())
    assert fit.get_parameter(name) is before[name]
    run.save_checkpoint("half.ckpt")

    again = copy.deepcopy(treatment)
    resumed = module(namespace, network(depth=4))
    trainer(namespace, [again], max_epochs=2).fit(resumed, data(batches=4), ckpt_path="half.ckpt")
    straight = module(namespace, network(depth=4))
    trainer(namespace, [copy.deepcopy(treatment)], max_epochs=2).fit(straight, data(batches=4))
    assert same(resumed.state_dict(), straight.state_dict())
