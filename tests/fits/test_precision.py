"""Any precision: bf16-mixed, bf16-true, 16-true, 16-mixed, 64-true, complex; whose zeros a gradient's zeros are."""

import importlib
import math

import pytest
import torch
from lightning.pytorch import Callback
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer
from tests.reference import twins


class Complex(nn.Module):
    """Two complex layers; the loss is the mean square of what comes out."""

    def __init__(self, dtype):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 8, dtype=dtype), nn.Linear(8, 10, dtype=dtype))

    def forward(self, x):
        return self.net(x.to(self.net[0].weight.dtype)).abs()


class Twin(Callback):
    """Keeps what the watch measures, in the slowest way: copies of all tensors, summed in Python's float64."""

    def __init__(self, layers):
        self.layers, self.steps, self.levels = layers, [], {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.levels = {}
        self.hooks = [pl_module.get_submodule(name).register_forward_hook(self.keep(name)) for name in self.layers]

    def keep(self, name):
        def hook(module, inputs, output):
            output.register_hook(lambda gradient: self.levels.update({name: twins.l2(gradient)}))

        return hook

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        parameters = dict(pl_module.named_parameters())
        self.grads = {name: p.grad.detach().clone() for name, p in parameters.items()}
        self.before = {name: p.detach().clone() for name, p in parameters.items()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        for hook in self.hooks:
            hook.remove()
        rows = {name: self.row(name, p) for name, p in pl_module.named_parameters()}
        self.steps.append((rows, dict(self.levels)))

    def row(self, name, parameter):
        before = wide(self.before[name])
        moved, size = twins.l2(wide(parameter) - before), parameter.numel()
        norm, zeros = twins.l2(self.grads[name]), int((self.grads[name] == 0).sum())
        update = moved / twins.l2(before) if twins.l2(before) else float(moved > 0)
        return norm, norm / math.sqrt(size), twins.largest(self.grads[name]), zeros / size, update


def wide(tensor):
    return tensor.detach().to(torch.complex128 if tensor.is_complex() else torch.float64)


def scaler(scale):
    """Half precision with a fixed loss scale, as on a GPU."""
    plugins = importlib.import_module("lightning.pytorch.plugins.precision")
    fixed = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=10**6)
    return {"plugins": [plugins.MixedPrecision("16-mixed", "cpu", fixed)]}


# What to build, with which trainer, and the scale of the gradients inside its backward pass.
FORMATS = {
    "32-true": (lambda: network(False), {"precision": "32-true"}, 1.0),
    "bf16-mixed": (lambda: network(False), {"precision": "bf16-mixed"}, 1.0),
    "bf16-true": (lambda: network(False), {"precision": "bf16-true"}, 1.0),
    "16-true": (lambda: network(False), {"precision": "16-true"}, 1.0),
    "64-true": (lambda: network(False), {"precision": "64-true"}, 1.0),
    "16-mixed with a GradScaler": (lambda: network(False), scaler(128.0), 128.0),
    "complex64 parameters": (lambda: Complex(torch.complex64), {}, 1.0),
    "complex128 parameters": (lambda: Complex(torch.complex128), {}, 1.0),
}


@pytest.mark.parametrize(("build", "options", "scale"), FORMATS.values(), ids=FORMATS.keys())
def test_every_number_is_that_of_the_slow_twin(build, options, scale):
    fitted = module(NAMESPACES[0], build(), "SGD", rate=0.05)
    layers = [name for name, part in fitted.named_modules() if isinstance(part, nn.Linear)]
    watch, twin = GradWatch(every_n_steps=1, strict=True), Twin(layers)
    trainer(NAMESPACES[0], [watch, twin], max_steps=4, **options).fit(fitted, data())
    assert len(watch.report.frames) == len(twin.steps) == 4
    for frame, (rows, levels) in zip(watch.report.frames, twin.steps, strict=True):
        assert {r.name for r in frame.parameters} == set(rows)
        for r in frame.parameters:
            assert (r.norm, r.rms, r.max, r.zeros, r.update) == pytest.approx(rows[r.name], rel=1e-6)
        told = trunk_norms(frame.ledgers[0])
        assert set(told) == set(layers)
        assert told == pytest.approx({name: level / scale for name, level in levels.items()}, rel=1e-6)


def trunk_norms(ledger):
    """Layer -> norm of the gradient at its output."""
    level, found = ledger.start, {}
    for segment in ledger.segments:
        if segment.modules:
            found.setdefault(segment.layer, 10**level)
        level += segment.decades
    return {**found, ledger.target_layer: 10**ledger.end}


NETWORKS = {
    "healthy net": (lambda: network(False, depth=6), 1.0),
    "healthy net, loss x 1e-6": (lambda: network(False, depth=6), 1e-6),
    "healthy net, loss x 1e-7": (lambda: network(False, depth=6), 1e-7),
    "deep sigmoid": (lambda: network(True, depth=20), 1.0),
    "dead ReLU": (lambda: with_dead_layer(network(False, depth=6)), 1.0),
    "zero-initialised head": (lambda: with_zero_head(network(False, depth=6)), 1.0),
}
HALF = {"healthy net, loss x 1e-6": ("vanishing", "precision"), "healthy net, loss x 1e-7": ("vanishing", "precision")}
EVERY = {"deep sigmoid": ("vanishing", "activation"), "dead ReLU": ("dead_units", "initialization")}
PRECISIONS = {
    "16-true": ({"precision": "16-true"}, {**EVERY, **HALF}),
    "16-mixed, loss scale 1": (scaler(1.0), {**EVERY, **HALF}),
    "16-mixed, loss scale 65536": (scaler(2.0**16), EVERY),
    "bf16-true": ({"precision": "bf16-true"}, EVERY),
    "bf16-mixed": ({"precision": "bf16-mixed"}, EVERY),
    "32-true": ({"precision": "32-true"}, EVERY),
    "64-true": ({"precision": "64-true"}, EVERY),
}
TABLE = {
    f"{precision}: {net}": (NETWORKS[net], options, verdicts.get(net))
    for precision, (options, verdicts) in PRECISIONS.items()
    for net in NETWORKS
}


def with_dead_layer(net):
    with torch.no_grad():
        net[4].bias.fill_(-100.0)
    return net


def with_zero_head(net):
    with torch.no_grad():
        net[-1].weight.zero_()
    return net


def judged(net, factor=1.0, rate=0.05, namespace=NAMESPACES[0], **options):
    """The watch after a short fit of that network, its loss multiplied by the factor."""
    fitted = module(namespace, net, "SGD", rate=rate)
    plain_step = fitted.training_step
    fitted.training_step = lambda batch, batch_idx: plain_step(batch, batch_idx) * factor
    watch = GradWatch(every_n_steps=1, strict=True, verbose=False)
    trainer(namespace, [watch], **options).fit(fitted, data())
    return watch


@pytest.mark.parametrize(("net", "options", "expected"), TABLE.values(), ids=TABLE.keys())
def test_whose_zeros_they_are(net, options, expected):
    build, factor = net
    findings = judged(build(), factor, **options).report.findings
    assert [(f.kind, f.causes[0].kind if f.causes else None) for f in findings] == ([expected] if expected else [])


def test_the_report_names_the_format_and_the_cure():
    report = judged(network(False, depth=6), 1e-7, precision="16-true").report
    [finding] = report.findings
    assert "float16 ends at 6e-08, and the gradient is down to 10^-6.9 an element in the loss already" in " ".join(
        str(report).split()
    )
    assert finding.causes[0].code == "GW701"
    assert finding.remedies[0].name == "ScaleLoss"
    assert finding.layers[0] == "net.0"


def test_a_collapsed_loss_scale_is_told():
    [finding] = judged(network(False, depth=6), **scaler(2.0**-20)).report.findings
    assert finding.causes[0].kind == "precision"
    assert "at a loss scale of 9.53674e-07" in finding.causes[0].sentence
    assert "init_scale" in finding.remedies[0].advice


@pytest.mark.parametrize(("sick", "kinds"), [(False, []), (True, ["vanishing"])], ids=["healthy net", "deep sigmoid"])
def test_updates_that_round_away_in_bfloat16_hide_nothing_and_invent_nothing(sick, kinds):
    """At a rate of 1e-7 no bfloat16 weight moves, though every gradient arrives."""
    report = judged(network(sick, depth=12), rate=1e-7, precision="bf16-true").report
    weights = [r for frame in report.frames for r in frame.parameters if r.name.endswith("weight")]
    assert all(r.norm > 0 and r.update == 0 for r in weights)
    assert [finding.kind for finding in report.findings] == kinds


def test_a_rate_of_zero_proves_nothing_in_any_format():
    assert judged(network(True, depth=12), rate=0.0, precision="bf16-true").report.findings == ()


@both_namespaces
@pytest.mark.parametrize("foreign", [None, object()], ids=["no scaler", "a scaler that is none of torch's"])
def test_a_precision_plugin_nobody_knows(namespace, foreign):
    class Odd(importlib.import_module(f"{namespace}.plugins.precision").Precision):
        precision = "int4-odd"
        scaler = foreign

    report = judged(network(False), namespace=namespace, plugins=[Odd()]).report
    assert report.findings == ()
    assert report.notes == ()
    assert all(frame.norm > 0 and frame.loss_scale == 1 for frame in report.frames)


PLAIN = {"bf16-mixed": 0.1, "bf16-true": 0.1, "16-true": 2e-2, "64-true": 1e-4}


@pytest.mark.parametrize(("precision", "rounding"), PLAIN.items(), ids=PLAIN.keys())
def test_other_precisions_read_the_same_within_their_rounding(precision, rounding):
    def norms(precision):
        return [f.norm for f in judged(network(False), rate=0.01, max_steps=2, precision=precision).report.frames]

    assert norms(precision) == pytest.approx(norms("32-true"), rel=rounding)


def test_what_fades_into_a_zero_is_told_so():
    [finding] = judged(network(True, depth=20), **scaler(128.0)).report.findings
    assert "underflows to zero" in finding.summary  # half precision ends at 6e-8
