"""Whatever trains through Lightning: no error of ours, no false word, and the right words where there is something."""

import importlib
import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, module, network, trainer

pl = importlib.import_module(NAMESPACES[0])


class Bag(nn.Module):
    """Sparse gradients of 5 rows of 100."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(100, 16, sparse=True), nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.embedding((x[:, :5].abs() * 10).long().clamp(max=99)).mean(1))


def plain(net=None, **changes):
    fitted = module(NAMESPACES[0], network(False) if net is None else net, "SGD", rate=0.01)
    for name, value in changes.items():
        setattr(fitted, name, value(fitted))
    return fitted


def loss_of(fitted, batch):
    return nn.functional.cross_entropy(fitted.net(batch[0]), batch[1])


def with_spare():
    fitted = plain()
    fitted.spare = nn.Linear(5, 5)
    return fitted


def frozen():
    net = network(False)
    net[0].requires_grad_(False)
    return plain(net, configure_optimizers=lambda m: lambda: torch.optim.SGD(m.net[2:].parameters(), 0.01))


def dead():
    net = network(False)
    with torch.no_grad():
        net[2].bias.fill_(-100.0)
    return plain(net)


def detached():
    fitted = plain()
    first, rest = fitted.net[:4], fitted.net[4:]
    fitted.training_step = lambda batch, batch_idx: nn.functional.cross_entropy(
        rest(first(batch[0]).detach()), batch[1]
    )
    return fitted


def returns(make):
    return lambda: plain(training_step=lambda m: lambda batch, batch_idx: make(m, batch))


def optimizer(make):
    return lambda: plain(configure_optimizers=lambda m: lambda: make(m.parameters()))


QUIET = {
    "learning rate 0": optimizer(lambda p: torch.optim.SGD(p, 0.0)),
    "training_step returns None": returns(lambda m, batch: None),
    "training_step returns a dict": returns(lambda m, batch: {"loss": loss_of(m, batch), "extra": 1}),
    "loss of zero": returns(lambda m, batch: loss_of(m, batch) * 0.0),
    "loss x 1e-6": returns(lambda m, batch: loss_of(m, batch) * 1e-6),
    "loss x 1e6, no step": lambda: plain(
        training_step=lambda m: lambda batch, batch_idx: loss_of(m, batch) * 1e6,
        configure_optimizers=lambda m: lambda: torch.optim.SGD(m.parameters(), 1e-12),
    ),
    "frozen layers": frozen,
    "sparse embedding": lambda: plain(Bag()),
    "compiled": lambda: plain(torch.compile(network(False), backend="aot_eager")),
}

LOUD = {
    "unused parameters": (with_spare, "disconnected", "info", "spare"),
    "detached by mistake": (detached, "disconnected", "warning", "net.0"),
    "nan in the loss": (returns(lambda m, batch: loss_of(m, batch) * math.nan), "nonfinite", "critical", "net.20"),
    "dead units": (dead, "dead_units", "critical", "net.2"),
}


def watched(fitted):
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(fitted, data())
    assert len(watch.report.frames) == 8
    return watch.report


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning")
@pytest.mark.parametrize("build", QUIET.values(), ids=QUIET.keys())
def test_nothing_to_say(build):
    torch.manual_seed(0)
    assert watched(build()).findings == ()


@pytest.mark.parametrize(("build", "kind", "severity", "layer"), LOUD.values(), ids=LOUD.keys())
def test_the_right_words(build, kind, severity, layer):
    torch.manual_seed(0)
    [finding] = watched(build()).findings
    assert (finding.kind, finding.severity) == (kind, severity)
    assert finding.layers[0] == layer


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (QUIET["compiled"], "compiled regions"),
    ],
    ids=["compiled"],
)
def test_what_cannot_be_seen_is_said_once(build, words, caplog):
    torch.manual_seed(0)
    report = watched(build())
    assert [words in note for note in report.notes] == [True]
    assert sum(words in record.message for record in caplog.records) == 1


def test_layers_that_thaw_during_the_fit_are_seen():
    class Thaw(pl.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            pl_module.net[0].requires_grad_(trainer.current_epoch > 0)

    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [Thaw(), watch], max_epochs=2).fit(plain(), data())
    targets = [frame.ledgers[0].target_layer for frame in watch.report.frames]
    assert targets == ["net.2"] * 8 + ["net.0"] * 8
    assert watch.report.findings == ()


def test_inputs_that_need_a_gradient_are_no_target():
    """Data that needs a gradient is no parameter and no target."""
    inputs = TensorDataset(torch.randn(32, 64, requires_grad=True).detach(), torch.randint(0, 10, (32,)))
    fitted = plain(training_step=lambda m: lambda b, batch_idx: loss_of(m, (b[0].requires_grad_(), b[1])))
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(fitted, DataLoader(inputs, 8))
    assert {frame.ledgers[0].target for frame in watch.report.frames} == {"net.0.weight"}
