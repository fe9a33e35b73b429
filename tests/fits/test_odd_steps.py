"""Odd training steps and optimizers."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.callbacks.fits import NAMESPACES, data, network, trainer
from tests.fits.modules import fit, loss_of, nothing_to_say, optimizer, plain, returns, strict


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
    "loss x 1e-6": returns(lambda m, batch: loss_of(m, batch) * 1e-6, rate=1e4),
    "loss x 1e6": returns(lambda m, batch: loss_of(m, batch) * 1e6, rate=1e-8),
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
    "an optimizer that holds parameters of no module": with_foreign_parameter,
}


ALL = {**STEPS, **OPTIMIZERS}


def test_an_optimizer_of_a_part_of_the_model_is_an_information():
    watch = strict()
    fit(only_of(lambda m: m.net[4:])(), [watch])
    [finding] = watch.report.findings
    assert (finding.kind, finding.severity, finding.layers) == ("disconnected", "info", ("net.0", "net.2"))
    assert finding.causes[0].code == "GW212"


@pytest.mark.parametrize("build", ALL.values(), ids=ALL.keys())
def test_nothing_to_say(build):
    nothing_to_say(build)


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
