"""Compiled, checkpointed, scripted, with hooks of your own: graphs that are not open from end to end."""

from collections import Counter

import pytest
import torch
import torch._inductor.config
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, network, trainer
from tests.fits import graphs
from tests.fits.graphs import CHECKPOINTED, COMPILED, LIGHTNING_MODULE, STEPS, Blocks, Fit, compilations, run

WAYS = {**COMPILED, **CHECKPOINTED}
every_way = pytest.mark.parametrize("way", [*WAYS, LIGHTNING_MODULE])
# Dynamo asks every tensor for its .grad and hides the warning by a filter of its own, which pytest's goes before.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


def fit(way, callbacks=(), **options):
    return run(WAYS.get(way), callbacks, whole_module=way == LIGHTNING_MODULE, **options)


def watched(way, **options):
    watch = GradWatch(every_n_steps=1, strict=True, verbose=False)
    fit(way, [watch], **options)
    assert len(watch.report.frames) == STEPS
    return watch.report


@pytest.fixture(scope="module")
def open_graph():
    watch = GradWatch(every_n_steps=1, strict=True, verbose=False)
    run(None, [watch], sick=True)
    return watch.report


@every_way
def test_a_sick_network_is_found_and_its_layers_are_named(way, open_graph):
    report = watched(way, sick=True)
    [finding], [true] = report.findings, open_graph.findings
    assert (finding.kind, finding.severity) == ("vanishing", "critical")
    lost, really = finding.evidence[0].value, true.evidence[0].value
    assert lost == pytest.approx(really, abs=0.8)
    assert finding.layers[0] == true.layers[0] == "net.stem"
    assert len(set(finding.layers) ^ set(true.layers)) <= 2  # near the threshold
    assert [cause.kind for cause in finding.causes[:2]] == [cause.kind for cause in true.causes[:2]]
    assert finding.causes[0].share == pytest.approx(true.causes[0].share, abs=0.1)


def traces(fitted):
    """All that a fit leaves, besides its weights: losses, state of the dice, compilations, runs of the blocks."""
    runs = [block.runs for block in fitted.modules() if isinstance(block, graphs.Block)]
    return fitted.losses, torch.get_rng_state().tolist(), compilations(), runs


@every_way
def test_a_healthy_network_is_left_in_peace_and_trains_as_without_the_watch(way):
    """Bit for bit the same fit; not one graph break, recompilation or run of a checkpointed block more."""
    watch = GradWatch(every_n_steps=1, strict=True, verbose=False)
    ours = fit(way, [watch])
    with_watch = traces(ours)
    theirs = fit(way)
    assert watch.report.findings == ()
    assert len(watch.report.frames) == STEPS
    assert with_watch == traces(theirs)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


@pytest.mark.parametrize("way", CHECKPOINTED)
def test_checkpointing_changes_no_number(way):
    """The same fit without checkpoints: what the watch says of parameters is the same to the bit."""
    kept, true = watched(way), watched(None)
    assert [frame.parameters for frame in kept.frames] == [frame.parameters for frame in true.frames]


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("torch.compile(module)", "the graph holds compiled regions"),
        ("reentrant checkpoints", "the graph holds reentrant checkpoints"),
        ("non-reentrant checkpoints", None),
    ],
)
def test_one_sentence_says_how_layers_are_judged(way, words):
    report = watched(way, sick=True)
    assert [words in note for note in report.notes] == ([True] if words else [])
    # Between checkpoints the ledger is exact, and the first layer lies in none of them.
    assert ("judged by parameter gradients" in report.findings[0].summary) == (way in COMPILED)


class Tokens(nn.Module):
    """A small transformer on tokens."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(50, 32), nn.Linear(32, 10)
        layer = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        return self.head(self.encoder(self.embedding((x[:, :12].abs() * 20).long().clamp(max=49))).mean(1))


class Scaled(nn.Module):
    """Residual branches behind scales of 1e-6, as in ConvNeXt: what little they get is by design."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.head = nn.Linear(64, 32), nn.Linear(32, 10)
        self.branches = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)) for _ in range(6))
        self.scales = nn.ParameterList(nn.Parameter(torch.full((32,), 1e-6)) for _ in range(6))

    def forward(self, x):
        x = self.stem(x)
        for branch, scale in zip(self.branches, self.scales, strict=True):
            x = x + scale * branch(x)
        return self.head(x)


QUIET = {
    "16 sigmoid layers with batch norm": lambda: network(depth=16, activation="sigmoid", norm=True),
    "ReLU, He, with batch norm": lambda: network(depth=8, activation="relu", init="he", norm=True),
    "transformer": Tokens,
    "layer scale of 1e-6": Scaled,
}


@pytest.mark.parametrize("make", QUIET.values(), ids=QUIET.keys())
def test_healthy_kinds_of_network_stay_healthy_when_compiled(make):
    watch = GradWatch(every_n_steps=1, strict=True, verbose=False)
    run(graphs.whole, [watch], net=make())
    assert watch.report.findings == ()


LOUD = {
    "16 sigmoid layers": {"activation": "sigmoid"},
    "16 ReLU layers, torch's own weights": {"activation": "relu"},
    "16 tanh layers, weights of 0.01": {"activation": "tanh", "init": ("normal", 0.01)},
}


@pytest.mark.parametrize("options", LOUD.values(), ids=LOUD.keys())
def test_sick_kinds_of_network_are_as_sick_when_compiled(options):
    found = []
    for change in (graphs.whole, None):
        watch = GradWatch(every_n_steps=1, strict=True, verbose=False)
        run(change, [watch], net=network(depth=16, **options))
        found += watch.report.findings
    ours, true = found
    assert ours.layers[0] == true.layers[0] == "net.0"
    assert ours.evidence[0].value == pytest.approx(true.evidence[0].value, abs=0.8)
    assert ours.causes[0].kind == true.causes[0].kind


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"
)  # torch's own use of it
def test_inductor_is_no_different():
    watch = GradWatch(every_n_steps=1, strict=True, verbose=False)
    with torch._inductor.config.patch(compile_threads=1):  # no pool of threads that outlives the test
        ours, theirs = run(torch.compile, [watch], sick=True), run(torch.compile, sick=True)
    [finding] = watch.report.findings
    assert finding.layers[0] == "net.stem"
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


class Hooked(Blocks):
    """Every kind of gradient hook that a user may have; each counts, and two change the gradient."""

    def __init__(self, sick):
        super().__init__(sick)
        self.calls = Counter()
        self.blocks[0].register_full_backward_hook(lambda *_: self.count("module"))
        self.blocks[1].register_full_backward_pre_hook(lambda *_: self.count("module before"))
        self.stem.weight.register_hook(lambda gradient: self.count("parameter") or gradient * 0.5)
        self.head.weight.register_post_accumulate_grad_hook(self.halve)

    def count(self, what):
        self.calls[what] += 1

    def halve(self, parameter):
        self.count("accumulated")
        parameter.grad.mul_(0.5)

    def body(self, x):
        x.register_hook(lambda gradient: self.count("tensor"))
        return super().body(x)


def test_your_own_gradient_hooks():
    """They run as often as without the watch; its numbers are what the optimizer uses, behind them."""
    used = []

    class Keeps(torch.optim.SGD):
        def step(self, closure=None):
            loss = closure()
            used.append({id(p): p.grad.norm().item() for p in self.param_groups[0]["params"]})
            return super().step() or loss

    def trained(callbacks):
        fitted = Fit(Hooked(False))
        fitted.configure_optimizers = lambda: Keeps(fitted.parameters(), 0.01)
        trainer(NAMESPACES[0], callbacks, limit_train_batches=STEPS).fit(fitted, data())
        return fitted

    watch = GradWatch(every_n_steps=1, strict=True)
    ours = trained([watch])
    names = {name: id(parameter) for name, parameter in ours.named_parameters()}
    for frame, truth in zip(watch.report.frames, used, strict=True):
        for reading in frame.parameters:
            assert reading.norm == pytest.approx(truth[names[reading.name]], rel=1e-6)
    theirs = trained([])
    assert ours.net.calls == theirs.net.calls
    assert set(ours.net.calls.values()) == {STEPS}
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


class Packed(Blocks):
    """Saved tensors are packed and unpacked; each unpacking counts."""

    def __init__(self, sick, kind):
        super().__init__(sick)
        self.kind, self.unpacked = kind, 0

    def unpack(self, packed):
        self.unpacked += 1
        return packed.float()

    def forward(self, x):
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: t.double(), self.unpack)
        with hooks if self.kind == "saved_tensors_hooks" else torch.autograd.graph.save_on_cpu():
            return super().forward(x)


@pytest.mark.parametrize("kind", ["saved_tensors_hooks", "save_on_cpu"])
def test_saved_tensors_that_are_packed_are_not_unpacked(kind):
    watch = GradWatch(every_n_steps=1, strict=True)
    ours, theirs = run(net=Packed(True, kind), callbacks=[watch]), run(net=Packed(True, kind))
    assert ours.net.unpacked == theirs.net.unpacked
    assert (ours.net.unpacked > 0) == (kind == "saved_tensors_hooks")
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))
    assert watch.report.findings[0].layers[0] == "net.stem"
    assert not watch.report.notes


def scripted(net):
    net.blocks[1] = torch.jit.script(net.blocks[1].layers)
    return net


def traced(net):
    net.blocks[1] = torch.jit.trace(net.blocks[1].layers, torch.zeros(2, 16))
    return net


@pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("change", [scripted, traced], ids=["torch.jit.script", "torch.jit.trace"])
def test_torchscript_submodules(change):
    watch = GradWatch(every_n_steps=1, strict=True)
    ours = run(change, [watch], sick=True)
    [finding] = watch.report.findings
    assert finding.layers[0] == "net.stem"
    assert {"net.blocks.1.0", "net.blocks.1.2"} <= {*finding.layers}
    assert ["TorchScript graphs" in note for note in watch.report.notes] == [True] * (change is scripted)
    assert all(map(torch.equal, ours.parameters(), run(change, sick=True).parameters()))
