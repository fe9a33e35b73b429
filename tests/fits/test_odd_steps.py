"""Odd training steps and models that change: no error, no false word."""

import copy
import importlib
import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.callbacks.fits import NAMESPACES, data, network, trainer
from tests.fits.modules import fit, loss_of, optimizer, plain, returns, strict

pl = importlib.import_module(NAMESPACES[0])


def every_third_none(m, batch):
    return None if m.trainer.global_step % 3 == 2 else loss_of(m, batch)


def own_parameter(m, batch):
    """A loss whose graph reaches nothing of the model."""
    return torch.ones((), requires_grad=True) * 2


STEPS = {
    "training_step returns None": returns(lambda m, batch: None),
    "training_step returns None now and then": returns(every_third_none),
    "training_step returns a dict": returns(lambda m, batch: {"loss": loss_of(m, batch), "extra": 1}),
    "loss of zero": returns(lambda m, batch: loss_of(m, batch) * 0.0),
    "loss x 1e-6": returns(lambda m, batch: loss_of(m, batch) * 1e-6),
    "loss x 1e6": returns(lambda m, batch: loss_of(m, batch) * 1e6, rate=1e-12),
    "loss that reaches no parameter of the model": returns(own_parameter),
    "learning rate 0": optimizer(lambda p: torch.optim.SGD(p, 0.0)),
}


def only_of(part):
    return lambda: plain(configure_optimizers=lambda m: lambda: torch.optim.SGD(part(m).parameters(), 0.01))


def without_optimizer():
    return plain(configure_optimizers=lambda m: lambda: None)


def with_foreign_parameter():
    foreign = nn.Parameter(torch.ones(10))

    def step(m):
        return lambda batch, batch_idx: nn.functional.cross_entropy(m.net(batch[0]) * foreign, batch[1])

    def configure(m):
        return lambda: torch.optim.SGD([*m.parameters(), foreign], 0.01)

    return plain(training_step=step, configure_optimizers=configure)


def empty_group(parameters):
    return torch.optim.SGD([{"params": []}, {"params": parameters}], 0.01)


OPTIMIZERS = {
    "an empty parameter group": optimizer(empty_group),
    "no optimizer": without_optimizer,
    "an optimizer of a part of the model": only_of(lambda m: m.net[4:]),
    "an optimizer that holds parameters of no module": with_foreign_parameter,
}


def on_second_epoch(change):
    """A module that is changed between its first epoch and its second."""

    def hook(fitted):
        return lambda: change(fitted) if fitted.trainer.current_epoch == 1 else None

    return lambda: plain(on_train_epoch_start=hook)


def add_group(fitted, layer):
    fitted.optimizers().optimizer.add_param_group({"params": layer.parameters()})


def swap(fitted):
    fitted.net[2] = nn.Linear(16, 16)
    add_group(fitted, fitted.net[2])


def append(fitted):
    fitted.net.append(nn.Linear(10, 10))
    add_group(fitted, fitted.net[-1])


def delete(fitted):
    del fitted.net[2]


def rebuild(fitted):
    fitted.net = network(False, depth=6)
    fitted.trainer.strategy.optimizers = [torch.optim.SGD(fitted.parameters(), 0.01)]


def freeze(fitted):
    fitted.net[0].requires_grad_(False)


def thaws():
    fitted = on_second_epoch(lambda m: m.net[0].requires_grad_(True))()
    fitted.net[0].requires_grad_(False)
    return fitted


def widens_in_a_step():
    """A layer that gets more inputs inside ``optimizer_step``, as growing networks do."""

    def step(m):
        def training_step(batch, batch_idx):
            wide = nn.functional.pad(batch[0], (0, m.net[0].weight.shape[1] - 64))
            return nn.functional.cross_entropy(m.net(wide), batch[1])

        return training_step

    def optimizer_step(m):
        def grow(epoch, batch_idx, optimizer, closure):
            optimizer.step(closure=closure)
            if m.trainer.global_step == 4:
                weight = m.net[0].weight
                weight.data, weight.grad = nn.functional.pad(weight.data, (0, 3)), None

        return grow

    return plain(training_step=step, optimizer_step=optimizer_step)


def lazy():
    return plain(nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(10)))


def built_in(hook):
    def make():
        fitted = plain()
        del fitted.net

        def build(self, stage=None):
            self.net = network(False, depth=4)

        fitted.__class__ = type("Built", (type(fitted),), {hook: build})
        return fitted

    return make


CHANGES = {
    "a layer swapped for another": on_second_epoch(swap),
    "a layer added": on_second_epoch(append),
    "a layer taken out": on_second_epoch(delete),
    "model and optimizer made anew": on_second_epoch(rebuild),
    "a layer frozen": on_second_epoch(freeze),
    "a layer thawed": thaws,
    "a layer that grows within a step": widens_in_a_step,
    "lazy modules": lazy,
    "model built in setup": built_in("setup"),
    "model built in configure_model": built_in("configure_model"),
}


class Gate(nn.Module):
    """ReZero: the branch gets exactly nothing until the gate has opened."""

    def __init__(self):
        super().__init__()
        self.branch, self.gate, self.head = nn.Linear(64, 64), nn.Parameter(torch.zeros(())), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(x + self.gate * torch.tanh(self.branch(x)))


class Lora(nn.Module):
    """A frozen layer with an adapter that begins as nothing."""

    def __init__(self):
        super().__init__()
        self.base, self.head = nn.Linear(64, 32).requires_grad_(False), nn.Linear(32, 10)
        self.a, self.b = nn.Linear(64, 4, bias=False), nn.Linear(4, 32, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x):
        return self.head(torch.relu(self.base(x) + self.b(self.a(x))))


class Attention(nn.Module):
    """The key's bias cancels out in the softmax."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(64, 10)

    def forward(self, x):
        x = x.view(-1, 8, 8)
        weights = torch.softmax(self.q(x) @ self.k(x).mT / 8**0.5, -1)
        return self.head((weights @ self.v(x)).flatten(1))


class Rare(nn.Module):
    """32 of 50,000 rows of an embedding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(50_000, 4), nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.embedding((x[:, :2].abs() * 9).long().clamp(max=31)).flatten(1))


class Experts(nn.Module):
    """One of four at a time."""

    def __init__(self):
        super().__init__()
        self.experts, self.turn = nn.ModuleList(nn.Linear(64, 10) for _ in range(4)), 0

    def forward(self, x):
        self.turn += 1
        return self.experts[self.turn % 4](x)


class Odds(nn.Module):
    """A table that needs no gradient, a scalar, and a parameter without any element."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.ones(10), requires_grad=False)
        self.scale, self.none, self.net = nn.Parameter(torch.ones(())), nn.Parameter(torch.empty(0)), network(False)

    def forward(self, x):
        return self.net(x) * self.table * self.scale + self.none.sum()


def zero_head():
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    nn.init.zeros_(net[2].weight)
    nn.init.zeros_(net[2].bias)
    return net


def frozen_backbone():
    net = network(False)
    net[:10].requires_grad_(False)
    return net


def converged():
    """Everything gets small, and that is no decay along the depth."""

    def step(m):
        goal = copy.deepcopy(m.net).requires_grad_(False)
        return lambda batch, batch_idx: (m.net(batch[0]) - goal(batch[0]) - 1e-7).square().mean()

    return plain(training_step=step)


LOOK_ALIKES = {
    "zero-initialised head": lambda: plain(zero_head()),
    "zero-initialised gate (ReZero)": lambda: plain(Gate(), rate=0.5),
    "LoRA": lambda: plain(Lora()),
    "frozen backbone": lambda: plain(frozen_backbone()),
    "bias before batch norm": lambda: plain(
        nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    ),
    "bias of the attention's keys": lambda: plain(Attention()),
    "embedding, 32 of 50,000 rows": lambda: plain(Rare()),
    "mixture of experts": lambda: plain(Experts()),
    "converged": converged,
    "parameters without gradient, without shape, without element": lambda: plain(Odds()),
}

ALL = {**STEPS, **OPTIMIZERS, **CHANGES, **LOOK_ALIKES}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
@pytest.mark.parametrize("build", ALL.values(), ids=ALL.keys())
def test_nothing_to_say(build):
    """Measured on all steps, bit for bit the same fit, and neither finding nor note."""

    def outcome(callbacks):
        torch.manual_seed(0)
        return fit(build(), callbacks, max_epochs=2)

    plainly, watch = outcome([]), strict()
    assert outcome([watch]) == plainly
    assert len(watch.report.frames) == 16
    assert (watch.report.findings, watch.report.notes) == ((), ())


@pytest.mark.parametrize(
    ("build", "healthy"),
    [
        (STEPS["training_step returns None"], False),
        (STEPS["loss of zero"], False),
        (STEPS["loss that reaches no parameter of the model"], False),
        (STEPS["training_step returns None now and then"], True),
        (STEPS["loss x 1e-6"], True),
        (OPTIMIZERS["no optimizer"], True),
    ],
    ids=["always None", "always zero", "no parameter", "None now and then", "small", "no optimizer"],
)
def test_what_gave_no_gradient_is_not_called_healthy(build, healthy):
    watch = strict()
    fit(build(), [watch])
    assert ("Healthy" in str(watch.report)) == healthy
    assert ("No gradient was there to judge" in str(watch.report)) != healthy


@pytest.mark.parametrize(
    "make", [lambda m, b: loss_of(m, b).detach(), lambda m, b: torch.tensor(1.0)], ids=["detached", "a constant"]
)
def test_loss_without_a_graph_is_torch_s_own_error(make):
    watch = strict()
    with pytest.raises(RuntimeError, match="does not require grad"):
        trainer(NAMESPACES[0], [watch]).fit(returns(make)(), data())
    assert (watch.report.frames, watch.report.notes) == ((), ())


def test_changes_are_seen():
    def targets(build):
        watch = strict()
        fit(build(), [watch], max_epochs=2)
        return [frame.ledgers[0].target_layer for frame in watch.report.frames], watch.report.frames[-1]

    assert targets(CHANGES["a layer thawed"])[0] == ["net.2"] * 8 + ["net.0"] * 8
    assert targets(CHANGES["a layer frozen"])[0] == ["net.0"] * 8 + ["net.2"] * 8
    assert "net.9.weight" in names(targets(CHANGES["a layer added"])[1])
    assert "net.12.weight" in names(targets(CHANGES["model and optimizer made anew"])[1])
    assert not [name for name in names(targets(CHANGES["a layer swapped for another"])[1]) if "optimizer" in name]


def names(frame):
    return {reading.name for reading in frame.parameters if reading.norm is not None}


def test_a_grown_layer_is_measured_but_for_its_update():
    watch = strict()
    fit(widens_in_a_step(), [watch])
    updates = [frame.parameters[0].update for frame in watch.report.frames]
    assert [update is None for update in updates] == [i == 4 for i in range(8)]


def test_inputs_that_need_a_gradient_are_no_target():
    """Data that needs a gradient is no parameter and no target."""
    inputs = TensorDataset(torch.randn(32, 64), torch.randint(0, 10, (32,)))
    fitted = plain(training_step=lambda m: lambda b, batch_idx: loss_of(m, (b[0].requires_grad_(), b[1])))
    watch = strict()
    trainer(NAMESPACES[0], [watch]).fit(fitted, DataLoader(inputs, 8))
    assert {frame.ledgers[0].target for frame in watch.report.frames} == {"net.0.weight"}


def with_spare():
    fitted = plain()
    fitted.spare = nn.Linear(5, 5)
    return fitted


def dead():
    net = network(False)
    with torch.no_grad():
        net[2].bias.fill_(-100.0)
    return plain(net)


def detached():
    def step(m):
        first, rest = m.net[:4], m.net[4:]
        return lambda batch, batch_idx: nn.functional.cross_entropy(rest(first(batch[0]).detach()), batch[1])

    return plain(training_step=step)


LOUD = {
    "unused parameters": (with_spare, "disconnected", "info", "spare"),
    "detached by mistake": (detached, "disconnected", "warning", "net.0"),
    "nan in the loss": (returns(lambda m, batch: loss_of(m, batch) * math.nan), "nonfinite", "critical", "net.8"),
    "dead units": (dead, "dead_units", "critical", "net.2"),
}


@pytest.mark.parametrize(("build", "kind", "severity", "layer"), LOUD.values(), ids=LOUD.keys())
def test_the_right_words(build, kind, severity, layer):
    watch = strict()
    fit(build(), [watch])
    [finding] = watch.report.findings
    assert (finding.kind, finding.severity) == (kind, severity)
    assert finding.layers[0] == layer
