"""A way around a layer while the network runs: sums, threads, checkpoints, and nothing left behind."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lightning_gradwatch.remedies.surgery.bypass import add_ways
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.way import Leaves, _fitted
from tests.remedies.nets import Images, Named, Untraceable, sequential


class Blocks(nn.Module):
    """Each block an activation checkpoint of its own, which begins with ``first``."""

    def __init__(self, saves="", first=()):
        super().__init__()
        self.saves = saves
        self.blocks = nn.ModuleList(nn.Sequential(*first, nn.Linear(8, 8), nn.Sigmoid()) for _ in range(3))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=self.saves == "reentrant") if self.saves else block(x)
        return self.head(x)


class Upside(nn.Module):
    """Its layers run in another order than they are registered in."""

    def __init__(self, order):
        super().__init__()
        self.order = order
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        if x.sum() > 1e9:
            return x
        for place in self.order:
            x = torch.tanh(self.layers[place](x))
        return x


def treated(model, scale=1.0):
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    add_ways(Edit(model), scale)
    return model


def ways(model):
    return [h.way for m in model.modules() for h in m._forward_pre_hooks.values() if isinstance(h, Leaves)]


def test_a_value_worked_by_hand():
    """x = 3; relu(2 * 3) + 3 = 9; relu(2 * 9) + 9 = 27; the head gives 27."""
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    add_ways(Edit(model), 1.0)
    for layer, weight in zip(model[::2], (2, 2, 1), strict=True):
        nn.init.constant_(layer.weight, weight)
        nn.init.zeros_(layer.bias)
    assert model(torch.tensor([[3.0]])).item() == 27


@pytest.mark.parametrize("scale", [1.0, -0.3, "zero"])
def test_equals_the_slow_twin(scale):
    """He et al. (2016), equation 5, written down; ReZero's scale is the parameter."""
    model, x = treated(Named(), scale).double(), torch.randn(6, 8).double()
    if scale == "zero":
        for layer in (model.fc0, model.fc1, model.fc2):
            nn.init.uniform_(layer.skip_scale)

    h = x
    for layer in (model.fc0, model.fc1, model.fc2):
        by = layer.skip_scale if scale == "zero" else scale
        around = h @ layer.skip.weight.T if hasattr(layer, "skip") else h
        h = around + by * torch.sigmoid(h @ layer.weight.T + layer.bias)
    assert torch.allclose(model(x), h @ model.head.weight.T + model.head.bias)


def test_images_keep_their_middle():
    model, x = treated(Images()), torch.randn(2, 1, 20, 20)
    h1 = F.relu(F.conv2d(x, model.c1.weight, model.c1.bias, padding=1)) + F.conv2d(x, model.c1.skip.weight)
    h2 = F.relu(F.conv2d(h1, model.c2.weight, model.c2.bias, 2, 1)) + F.avg_pool2d(
        F.conv2d(h1, model.c2.skip.weight), 2
    )
    h3 = model.pool(F.relu(F.conv2d(h2, model.c3.weight, model.c3.bias))) + F.avg_pool2d(h2, 2)[..., :4, :4]
    h4 = F.relu(F.conv2d(h3, model.c4.weight, model.c4.bias, padding=1))
    assert torch.allclose(model(x), model.fc(h4.mean((2, 3))), atol=1e-5)


@pytest.mark.parametrize(
    ("have", "want", "middle"),
    [((1, 1, 5), (1, 1, 3), [1, 2, 3]), ((1, 1, 6), (1, 1, 3), [0.5, 2.5, 4.5]), ((1, 1, 3), (1, 1, 3), [0, 1, 2])],
)
def test_fitted(have, want, middle):
    x = torch.arange(float(have[-1])).reshape(have)
    assert _fitted(x, torch.empty(want)).flatten().tolist() == middle


@pytest.mark.parametrize(("have", "want"), [((1, 1, 3), (1, 1, 4)), ((2, 3), (2, 4)), ((1, 2, 3), (1, 1, 3))])
def test_does_not_fit(have, want):
    assert _fitted(torch.empty(have), torch.empty(want)) is None


@pytest.mark.parametrize("first", [(), (nn.Dropout(0.5),)], ids=["layer first", "dropout first"])
def test_checkpoints_compute_the_same_again(first):
    gradients = []
    for saves in ("", "not reentrant"):
        model, x = treated(Blocks(saves, first)), torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
        for _ in range(2):
            torch.manual_seed(2)
            model.zero_grad()
            model(x).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
        assert not any(way.closed for way in ways(model))
    assert all(map(torch.allclose, *gradients))


def test_two_forward_passes_before_one_backward():
    gradients = []
    for saves in ("", "not reentrant"):
        model, x = treated(Blocks(saves)), torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
        sum(model(part).square().sum() for part in x).backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(map(torch.allclose, *gradients))


def test_reentrant_checkpoints_switch_it_off_and_say_so():
    model, x = treated(Blocks("reentrant")), torch.randn(5, 8, requires_grad=True)
    with pytest.warns(UserWarning, match="use_reentrant=False"):
        model(x).sum().backward()
    assert [bool(way.closed) for way in ways(model)] == [True, True, False]
    model(x).sum().backward()


@pytest.mark.parametrize(
    ("order", "closed", "says"),
    [([0, 2, 1], 2, "runs before|runs twice"), ([0, 0, 1, 2], 1, "runs twice"), ([2, 1, 0], 2, "runs before")],
    ids=str,
)
def test_another_order_switches_it_off(order, closed, says):
    model = treated(Upside(order))
    with pytest.warns(UserWarning, match=says):
        model(torch.randn(2, 4))
    assert sum(bool(way.closed) for way in ways(model)) >= closed - 1
    model(torch.randn(2, 4))  # said once


def test_what_is_switched_off_still_has_gradients():
    """All zero: without any, DistributedDataParallel would wait for them."""
    model, x = treated(Upside([2, 1, 0]), "zero"), torch.randn(2, 4)
    with pytest.warns(UserWarning, match="left out"):
        model(x)
    model(x).sum().backward()
    assert [model.layers[place].skip_scale.grad.item() for place in (0, 1)] == [0, 0]


def test_parallel_layers_get_no_way():
    class Parallel(Upside):
        def forward(self, x):
            return x if x.sum() > 1e9 else sum(layer(x) for layer in self.layers)

    model, x = Parallel([]), torch.randn(2, 4)
    plain = model(x)
    add_ways(Edit(model), 1.0)
    with pytest.warns(UserWarning, match="the same input"):
        assert torch.equal(model(x), plain)


def test_shapes_that_do_not_match_switch_it_off():
    class Shortened(Upside):
        def forward(self, x):
            if x.sum() > 1e9:
                return x
            return self.layers[2](self.layers[1](self.layers[0](x)[:1]))

    model = treated(Shortened([]))
    with pytest.warns(UserWarning, match=r"do not match, \(2, 4\) and \(1, 4\)"):
        model(torch.randn(2, 4))
    assert [bool(way.closed) for way in ways(model)] == [True, False]


@pytest.mark.parametrize("mode", ["train", "eval", "no_grad", "exception", "checkpoint"])
def test_nothing_of_a_run_is_kept(mode):
    model = treated(Blocks("not reentrant") if mode == "checkpoint" else Untraceable(), "zero")
    x = torch.randn(5, 8)
    inputs = []
    list(model.modules())[3].register_forward_pre_hook(lambda _, args: inputs.append(weakref.ref(args[0])))
    if mode == "exception":
        model.head = nn.Linear(7, 7)
    model.train(mode != "eval")
    with torch.set_grad_enabled(mode != "no_grad"):
        try:
            out = model(x)
        except RuntimeError:
            assert mode == "exception"
        else:
            if mode in ("train", "checkpoint"):
                out.sum().backward()
            del out
    gc.collect()
    assert inputs
    assert all(ref() is None or ref() is x for ref in inputs)
    assert not any(way._held for way in ways(model))


def test_threads_do_not_meet():
    model = treated(sequential()).eval()
    batches = torch.randn(4, 5, 8)
    wanted, wrong = [model(x) for x in batches], []

    def run(place):
        for _ in range(100):
            if not torch.equal(model(batches[place]), wanted[place]):
                wrong.append(place)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_pass_that_ends_early_does_no_harm_once_the_order_was_seen():
    model, x = treated(sequential()), torch.randn(5, 8)
    whole = model(x)
    model[0](x)
    model[4](x)
    assert torch.equal(model(x), whole)
    assert not any(way.closed for way in ways(model))
