"""What must not change a verdict: the scale of the loss, names, order, precision, threads, width.

Twelve layers on real digits, twenty steps of Adam each.
"""

import importlib
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lightning_gradwatch.cases.data import held_out
from lightning_gradwatch.cases.networks import mlp
from tests.callbacks.fits import NAMESPACES, trainer
from tests.fits.modules import strict

pl = importlib.import_module(NAMESPACES[0])
STEPS, BATCH = 20, 64
NETWORKS = {
    "sick of its activations": {"activation": "sigmoid"},
    "sick of its weights": {"activation": "tanh", "init": ("normal", 0.01)},
    "healthy": {"activation": "relu", "init": "he"},
}
EXPECTED = {
    "sick of its activations": [("vanishing", "activation", "first")],
    "sick of its weights": [("vanishing", "initialization", "first")],
    "healthy": [],
}


class Fit(pl.LightningModule):
    def __init__(self, net, factor=1.0, order=1):
        super().__init__()
        self.net, self.factor, self.order = net, factor, order

    def training_step(self, batch, batch_idx):
        x, y = batch
        return self.factor * nn.functional.cross_entropy(self.net(x.to(next(self.parameters()).dtype)), y)

    def configure_optimizers(self):
        return torch.optim.Adam(list(self.parameters())[:: self.order], lr=1e-3)


def build(name, width=64):
    torch.manual_seed(0)
    options = NETWORKS[name]
    if options.get("init") == ("normal", 0.01):  # as small beside what its width asks for
        options = {**options, "init": ("normal", 0.01 * (64 / width) ** 0.5)}
    return mlp(depth=12, width=width, **options)


def batches(reverse=False):
    x, y = held_out()
    pieces = list(zip(x.split(BATCH), y.split(BATCH), strict=True)) * 4
    return DataLoader(pieces[:STEPS][:: -1 if reverse else 1], batch_size=None)


def verdict(module, loader=None, first="net.0", **options):
    watch = strict()
    trainer(NAMESPACES[0], [watch], max_steps=STEPS, max_epochs=-1, **options).fit(module, loader or batches())
    alarms = [finding for finding in watch.report.findings if finding.is_alarm]
    told = {first: "first"}
    return [(f.kind, f.causes[0].kind, told.get(f.layers[0], f.layers[0])) for f in alarms]


def renamed(net):
    return nn.Sequential(OrderedDict((f"z{100 - i}_gate_bias", layer) for i, layer in enumerate(net)))


def backwards(net):
    """The same network, its layers registered head first."""
    holder = nn.Module()
    holder.layers = nn.ModuleList(reversed(list(net)))

    def forward(x):
        for layer in reversed(holder.layers):
            x = layer(x)
        return x

    holder.forward = forward
    return holder


CHANGES = {
    "as it is": lambda net, name: verdict(Fit(net)),
    **{
        f"loss x {factor:g}": lambda net, name, factor=factor: verdict(Fit(net, factor))
        for factor in (1e-6, 1e-3, 1e3, 1e6)
    },
    "parameters in the optimizer backwards": lambda net, name: verdict(Fit(net, order=-1)),
    "modules registered backwards": lambda net, name: verdict(Fit(backwards(net)), first="net.layers.24"),
    "other names": lambda net, name: verdict(Fit(renamed(net)), first="net.z100_gate_bias"),
    "batches backwards": lambda net, name: verdict(Fit(net), batches(reverse=True)),
    "float64": lambda net, name: verdict(Fit(net.double()), precision="64-true"),
    "four times as wide": lambda net, name: verdict(Fit(build(name, width=256))),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", NETWORKS)
def test_verdict_stays(name, change):
    assert CHANGES[change](build(name), name) == EXPECTED[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_verdict_stays_with_another_number_of_threads(name):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert verdict(Fit(build(name))) == EXPECTED[name]
    finally:
        torch.set_num_threads(threads)
