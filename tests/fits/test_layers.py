"""Sparse, tied, parametrized, quantised, nested and complex weights."""

import importlib
import math

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, trainer
from tests.reference.twins import l2, largest

pl = importlib.import_module(NAMESPACES[0])
norms = nn.utils.parametrizations


def tokens(x):
    """Words of a vocabulary of 30, some of them several times."""
    return (x[:, :12].abs() * 10).long().clamp(max=29)


class Embedded(nn.Module):
    def __init__(self, sparse=True):
        super().__init__()
        self.embedding, self.head = nn.Embedding(30, 16, sparse=sparse), nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.embedding(tokens(x)).mean(1))


class Bagged(Embedded):
    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(30, 16, mode="sum", sparse=True)

    def forward(self, x):
        return self.head(self.embedding(tokens(x)))


class Tied(nn.Module):
    """A Transformer whose head is its embedding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 30, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.encoder(self.embedding(tokens(x))).mean(1))


def chain(wrap, width=16):
    """Four hidden layers and a head, each layer wrapped."""
    layers = [nn.Linear(64, width), *(nn.Linear(width, width) for _ in range(3))]
    return nn.Sequential(*[m for layer in layers for m in (wrap(layer), nn.Tanh())], nn.Linear(width, 10))


class LowRank(nn.Module):
    def __init__(self, weight, rank=2):
        super().__init__()
        self.a = nn.Parameter(torch.randn(weight.shape[0], rank) / 8)
        self.b = nn.Parameter(torch.zeros(rank, weight.shape[1]))

    def forward(self, weight):
        return weight + self.a @ self.b


def low_rank(layer):
    layer.weight.requires_grad_(False)
    nn.utils.parametrize.register_parametrization(layer, "weight", LowRank(layer.weight))
    return layer


class Adapter(nn.Module):
    """LoRA as a module: a frozen layer and two small ones beside it, the second of which begins at zero."""

    def __init__(self, layer):
        super().__init__()
        self.base = layer.requires_grad_(False)
        self.a, self.b = nn.Linear(layer.in_features, 2, bias=False), nn.Linear(2, layer.out_features, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x):
        return self.base(x) + self.b(self.a(x))


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 16, dtype=torch.cfloat), nn.Linear(16, 10, dtype=torch.cfloat)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x.to(torch.cfloat)))).abs()


class Ragged(nn.Module):
    """Sequences of different lengths as one nested tensor."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x):
        rows = [row[: 8 + 4 * (i % 3)].reshape(-1, 4) for i, row in enumerate(x)]
        nested = torch.nested.nested_tensor(rows, layout=torch.jagged)
        hidden = torch.tanh(self.second(torch.tanh(self.first(nested))))
        return self.head(torch.stack([row.mean(0) for row in hidden.unbind()]))


def quantised():
    from torch.ao import quantization

    net = nn.Sequential(
        quantization.QuantStub(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10), quantization.DeQuantStub()
    )
    net.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    return quantization.prepare_qat(net.train())


NETS = {
    "sparse embedding, rows several times": Embedded,
    "dense embedding": lambda: Embedded(sparse=False),
    "sparse EmbeddingBag": Bagged,
    "tied embedding and head": Tied,
    "weight_norm": lambda: chain(norms.weight_norm),
    "spectral_norm": lambda: chain(norms.spectral_norm),
    "orthogonal": lambda: chain(norms.orthogonal),
    "weight_norm, old": lambda: chain(nn.utils.weight_norm),
    "spectral_norm, old": lambda: chain(nn.utils.spectral_norm),
    "low-rank parametrization": lambda: chain(low_rank),
    "LoRA modules": lambda: chain(Adapter),
    "complex weights": Complex,
    "jagged nested tensors": Ragged,
    "quantisation-aware training": quantised,
}
every_net = pytest.mark.parametrize("make", NETS.values(), ids=NETS.keys())
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.ao.quantization is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Please use quant_min and quant_max:UserWarning"),
]


class Fit(pl.LightningModule):
    """Keeps what the slow twin says of every gradient that its optimizer uses."""

    def __init__(self, net):
        super().__init__()
        self.net, self.twin = net, []

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def on_before_optimizer_step(self, optimizer):
        grads = {name: p.grad for name, p in self.named_parameters() if p.grad is not None}
        self.twin.append({name: (l2(grad), largest(dense(grad))) for name, grad in grads.items()})

    def configure_optimizers(self):
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], 0.05)


def dense(gradient):
    return gradient.to_dense() if gradient.layout != torch.strided else gradient


def trained(make, callbacks=()):
    torch.manual_seed(0)
    fitted = Fit(make())
    trainer(NAMESPACES[0], callbacks, limit_train_batches=5).fit(fitted, data())
    return fitted


@every_net
def test_numbers_are_the_twin_s_and_the_fit_is_untouched(make):
    watch = GradWatch(every_n_steps=1, strict=True)
    ours = trained(make, [watch])
    frames = watch.report.frames
    assert len(frames) == len(ours.twin) == 5
    for frame, truth in zip(frames, ours.twin, strict=True):
        readings = {reading.name: reading for reading in frame.parameters}
        assert len(readings) == len(frame.parameters)  # one name, one reading
        assert readings.keys() == truth.keys()
        for name, (norm, most) in truth.items():
            assert readings[name].norm == pytest.approx(norm, rel=1e-5, abs=1e-30)
            assert readings[name].max == pytest.approx(most, rel=1e-5, abs=1e-30)
    theirs = trained(make)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))
    assert all(map(torch.equal, ours.buffers(), theirs.buffers()))  # power iteration, observers


@every_net
def test_nothing_is_wrong_and_layers_have_their_own_names(make):
    watch = GradWatch(every_n_steps=1, strict=True)
    fitted = trained(make, [watch])
    assert [finding for finding in watch.report.findings if finding.is_alarm] == []
    layers = {name for name, _ in fitted.named_modules() if ".parametrizations" not in name}
    for frame in watch.report.frames:
        [ledger] = frame.ledgers
        assert {ledger.target_layer, *(module for s in ledger.segments for module in s.modules)} <= layers
    assert {layer.name for layer in watch.report.anatomy.layers} <= layers


@pytest.mark.parametrize("kind", [k for k in NETS if "norm" in k or k in ("orthogonal", "low-rank parametrization")])
def test_the_ledger_ends_at_the_layer_not_in_the_making_of_its_weight(kind):
    watch = GradWatch(every_n_steps=1, strict=True)
    torch.manual_seed(0)
    fitted = Fit(NETS[kind]())
    arrived = []

    def keep(module, inputs, output):
        output.register_hook(lambda gradient: arrived.append(math.log10(l2(gradient))))

    fitted.net[0].register_forward_hook(keep)
    trainer(NAMESPACES[0], [watch], limit_train_batches=5).fit(fitted, data())
    for frame, truth in zip(watch.report.frames, arrived, strict=True):
        assert frame.ledgers[0].target_layer == "net.0"
        assert frame.ledgers[0].end == pytest.approx(truth, abs=1e-5)


class Wrapper(nn.Module):
    """Keeps a module under the name that some wrapper of torch gives it."""

    def __init__(self, module, name):
        super().__init__()
        setattr(self, name, module)
        self._name = name

    def forward(self, x):
        return getattr(self, self._name)(x)


@pytest.mark.parametrize("name", ["_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_fpw_module"])
def test_wrappers_are_not_part_of_a_name(name):
    plain, watch = chain(lambda layer: layer), GradWatch(every_n_steps=1, strict=True)
    trained(lambda: Wrapper(nn.Sequential(*(Wrapper(m, name) for m in plain)), name), [watch])
    expected = {f"net.{name}" for name, _ in plain.named_parameters()}
    assert {reading.name for reading in watch.report.frames[0].parameters} == expected
    assert {f"{layer.name}.weight" for layer in watch.report.anatomy.layers} <= expected


def test_a_module_of_your_own_that_is_called_module_keeps_its_name():
    watch = GradWatch(every_n_steps=1, strict=True)
    trained(lambda: Wrapper(chain(lambda layer: layer), "module"), [watch])
    assert watch.report.frames[0].ledgers[0].target_layer == "net.module.0"


def test_a_sick_parametrized_network_is_found():
    """Weights that were shrunk, behind weight_norm: the layers are named, not their parametrizations."""

    def shrunk(layer):
        with torch.no_grad():
            layer.weight.mul_(1e-2)
        return norms.weight_norm(layer)

    watch = GradWatch(every_n_steps=1, strict=True, verbose=False)
    trained(lambda: chain(shrunk), [watch])
    [finding] = watch.report.findings
    assert (finding.kind, finding.layers[:2]) == ("vanishing", ("net.0", "net.2"))
