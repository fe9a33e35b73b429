"""What feeds what, read from the code of networks as people write them."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from lightning_gradwatch.remedies.surgery.reading import read
from tests.callbacks.fits import NAMESPACES
from tests.remedies.surgery.networks import Branches, Functional, Image, Recurrence, Shared


def follows(model):
    """Layer -> the activation that follows it."""
    flow = read(model)
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return {name: getattr(flow.activation_after(layer), "kind", "") for name, layer in layers}


def called(model):
    return [call.kind or type(call.module).__name__ for call in read(model).ways[0].calls]


class Stored(nn.Module):
    """Calls kept in attributes, helpers, comprehensions, conditions, and code that stops early."""

    def __init__(self, deep=True):
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(2, 2) for _ in range(3))
        self.function = torch.tanh
        self.deep = deep

    def forward(self, x):
        if x is None:
            raise ValueError
        x = self.function(self.first(x))
        if self.deep:
            x = helper(checkpoint(self.second, x))
        heads = [head(x) for head in (self.third,)]
        try:
            with torch.no_grad():
                y = torch.cat(heads)
        finally:
            x = None
        return nn.functional.silu(y) if self.deep else y


def helper(x, *, with_slope=False):
    return nn.functional.leaky_relu(x) if with_slope else nn.functional.softplus(x)


class Own(nn.Linear):
    """A layer with code of its own."""

    def forward(self, x):
        return x @ self.weight.t() + self.bias


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (Functional(), {"first": "sigmoid", "second": "tanh", "head": "sigmoid"}),
        (Shared(), {"layers.0": "tanh", "layers.1": "tanh", "layers.2": ""}),
        (Image(), {"conv": "sigmoid", "squeeze.fc.0": "tanh", "squeeze.fc.2": "sigmoid", "head": "tanh"}),
        (Recurrence(), {"into": "tanh", "again": "tanh", "head": ""}),
        (Branches(), {"blocks.a.0": "elu", "blocks.b": "gelu", "head": ""}),
        (Stored(), {"first": "tanh", "second": "softplus", "third": "silu"}),
        (Stored(deep=False), {"first": "tanh", "second": "", "third": ""}),
        (nn.Sequential(Own(2, 2), nn.SELU(), Own(2, 1)), {"0": "selu", "2": ""}),
        (nn.TransformerEncoderLayer(4, 2, 8, activation="gelu"), {"linear1": "gelu", "linear2": ""}),
    ],
    ids=[
        "functions",
        "shared",
        "image",
        "recurrence",
        "branches",
        "stored",
        "shallow",
        "own layer",
        "transformer",
    ],
)
def test_the_activation_that_follows_each_layer(model, wanted):
    assert {name: kind for name, kind in follows(model).items() if "out_proj" not in name} == wanted


def test_loops_are_unrolled_and_known_conditions_taken():
    assert called(Shared()) == ["Linear", "tanh", "Linear", "tanh", "Linear"]
    assert called(Shared(last=True)) == ["Linear", "tanh", "Linear", "tanh", "Linear", "tanh"]


def test_functions_have_file_and_line():
    lines = {(call.file, call.written) for _, call in read(Functional()).functions()}
    assert lines == {("networks.py", name) for name in ("torch.sigmoid", ".tanh()", "F.relu", ".sigmoid()")}
    first = next(call for _, call in read(Functional()).functions() if call.written == "torch.sigmoid")
    source = Path(inspect.getsourcefile(Functional)).read_text().splitlines()
    assert "torch.sigmoid(self.first(x))" in source[first.line - 1]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_lightning_module_begins_at_its_training_step(namespace):
    pl = importlib.import_module(namespace)

    class Fit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))

        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = nn.functional.binary_cross_entropy(torch.sigmoid(self.net(x)), y)
            self.log("loss", loss)
            return loss

    flow = read(Fit())
    assert [call.kind for _, call in flow.functions()] == ["sigmoid"]
    assert all(way.is_last(call) for way, call in flow.functions())
    assert flow.main_kind == "tanh"


def test_nothing_of_the_users_is_run_or_changed():
    class Touchy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)
            self.seen = []

        @property
        def rate(self):
            pytest.fail("it was run")

        def forward(self, x):
            self.seen.append(x)
            self.last = x * self.rate
            return torch.tanh(self.layer(self.last))

    model = Touchy()
    assert follows(model) == {"layer": "tanh"}
    assert model.seen == []
    assert not hasattr(model, "last")


def test_code_that_cannot_be_read_leaves_the_order_of_registration():
    home = {}
    exec("from torch import nn\nclass Typed(nn.Module):\n    def forward(self, x):\n        return self.b(x)\n", home)
    model = home["Typed"]()
    model.a, model.act, model.b, model.out = nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1), nn.Sigmoid()
    flow = read(model)
    assert [flow.activation_after(layer).kind for layer in (model.a, model.b)] == ["tanh", "sigmoid"]
    assert [flow.is_output(module) for module in (model.act, model.out)] == [False, True]


def test_code_without_an_end_is_given_up():
    class Endless(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.forward(self.layer(x)) + self.forward(x)

    assert follows(Endless()) == {"layer": ""}
