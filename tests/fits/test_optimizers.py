"""Several optimizers, GAN with and without toggling, raw steps, shared parameters"""

import csv
import importlib

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer
from tests.reference import twins

pl = importlib.import_module(NAMESPACES[0])


def gan_of(namespace, **choices):
    """Manual optimisation of two optimizers, as Lightning's documentation has it."""
    lightning = importlib.import_module(namespace)

    class Gan(lightning.LightningModule):
        def __init__(self, toggle=False, raw=False, every=1, shared=False):
            super().__init__()
            self.automatic_optimization = False
            self.toggle, self.raw, self.every, self.shared = toggle, raw, every, shared
            self.generator = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 64))
            self.discriminator = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(), nn.Linear(32, 1))
            self.true = []  # (optimizer, norm of the gradient it steps with) of every step

        def training_step(self, batch, batch_idx):
            generator, discriminator = self.optimizers()
            noise = torch.randn(len(batch[0]), 8)
            if batch_idx % self.every == 0:
                self._step(0, generator, lambda: -self.discriminator(self.generator(noise)))
            fake = self.generator(noise).detach()
            self._step(1, discriminator, lambda: self.discriminator(fake) - self.discriminator(batch[0]))

        def _step(self, index, optimizer, score):
            if self.toggle:
                self.toggle_optimizer(optimizer)
            optimizer.zero_grad()
            loss = nn.functional.softplus(score()).mean()
            self.log(f"loss_{index}", loss)
            self.manual_backward(loss)
            own = [p for group in optimizer.param_groups for p in group["params"]]
            self.true.append((index, twins.l2(torch.cat([p.grad.flatten() for p in own if p.grad is not None]))))
            (optimizer.optimizer if self.raw else optimizer).step()
            if self.toggle:
                self.untoggle_optimizer(optimizer)

        def configure_optimizers(self):
            both = [*self.generator.parameters(), *self.discriminator.parameters()]
            return [
                torch.optim.Adam(both if self.shared else self.generator.parameters(), 1e-3),
                torch.optim.SGD(self.discriminator.parameters(), 1e-2),
            ]

    return Gan(**choices)


GANS = {
    "GAN, toggled": {"toggle": True},
    "GAN, not toggled": {},
    "GAN, raw optimizer.step()": {"raw": True},
    "GAN, toggled, raw optimizer.step()": {"toggle": True, "raw": True},
    "GAN, generator every third batch": {"every": 3},
    "optimizers that share parameters": {"shared": True},
}


@both_namespaces
@pytest.mark.parametrize("choices", GANS.values(), ids=GANS.keys())
def test_each_by_itself_and_only_its_own(namespace, choices):
    torch.manual_seed(0)
    gan, watch = gan_of(namespace, **choices), GradWatch(every_n_steps=1, strict=True)
    trainer(namespace, [watch]).fit(gan, data())
    assert len(watch.report.frames) == 8
    told = [(reading.index, reading.norm) for frame in watch.report.frames for reading in frame.optimizers]
    assert told == [(index, pytest.approx(norm, rel=1e-6)) for index, norm in gan.true]
    names = {reading.index: reading.name for frame in watch.report.frames for reading in frame.optimizers}
    assert names == {0: "" if gan.shared else "generator", 1: "discriminator"}
    for frame in watch.report.frames:
        for reading in frame.parameters:
            assert gan.shared or reading.name.startswith(names[reading.optimizer])
            assert reading.update is not None
    assert watch.report.findings == ()


@pytest.mark.parametrize(
    "choices", [{}, {"every": 3}], ids=["GAN, a ledger a loss", "GAN, a ledger a loss, generator every third batch"]
)
def test_one_ledger_a_loss(choices):
    gan, watch = gan_of(NAMESPACES[0], **choices), GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(gan, data())
    for frame in watch.report.frames:
        both = len(frame.optimizers) == 2
        assert [ledger.name for ledger in frame.ledgers] == (["loss", "loss[1]"] if both else ["loss"])
        assert frame.ledgers[0].target_layer == ("generator.0" if both else "discriminator.0")
        assert frame.ledgers[-1].target_layer == "discriminator.0"


def test_x_axis_is_that_of_the_user_s_losses(tmp_path):
    """Two optimizer steps a batch count twice in global_step; the logged loss and our values go by batches."""
    logger = pl.loggers.CSVLogger(tmp_path)
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch], logger=logger).fit(gan_of(NAMESPACES[0]), data())
    with open(tmp_path / "lightning_logs" / "version_0" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    ours = [int(row["step"]) for row in rows if row.get("gradwatch/gradient_norm")]
    theirs = [int(row["step"]) for row in rows if row.get("loss_0")]
    assert ours == theirs == [frame.step for frame in watch.report.frames]
    assert [frame.global_step for frame in watch.report.frames] == [*range(0, 16, 2)]


def test_an_optimizer_that_steps_several_times_a_batch():
    """Of a critic's five steps the first is measured, and once."""
    gan = gan_of(NAMESPACES[0])
    step = gan._step
    gan._step = lambda index, *rest: [step(index, *rest) for _ in range(5 if index else 1)]
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(gan, data())
    firsts = [gan.true[i] for i in range(len(gan.true)) if i % 6 < 2]
    told = [(reading.index, reading.norm) for frame in watch.report.frames for reading in frame.optimizers]
    assert told == [(index, pytest.approx(norm, rel=1e-6)) for index, norm in firsts]


def two_groups(fitted):
    groups = [{"params": fitted.net[:10].parameters(), "lr": 0.1}, {"params": fitted.net[10:].parameters()}]
    return torch.optim.SGD(groups, 0.01)


ONE = {
    "parameter groups with rates of their own": two_groups,
    "tensor learning rate": lambda m: torch.optim.Adam(m.parameters(), torch.tensor(1e-3), foreach=False),
    "a part of the network only": lambda m: torch.optim.SGD(m.net[10:].parameters(), 0.01),
}


@pytest.mark.parametrize("build", ONE.values(), ids=ONE.keys())
def test_one_optimizer(build):
    fitted = module(NAMESPACES[0], network(False))
    fitted.configure_optimizers = lambda: build(fitted)
    watch = GradWatch(every_n_steps=1, strict=True)
    runner = trainer(NAMESPACES[0], [watch])
    runner.fit(fitted, data())
    owned = {id(p) for group in runner.optimizers[0].param_groups for p in group["params"]}
    names = {name for name, p in fitted.named_parameters() if id(p) in owned}
    assert {reading.name for frame in watch.report.frames for reading in frame.parameters} == names
    assert watch.report.alarms == ()
    assert {finding.id for finding in watch.report.findings} <= {"unowned"}  # what is left out is an information
    assert all(len(frame.rates) == len(runner.optimizers[0].param_groups) for frame in watch.report.frames)


class Outside(pl.LightningModule):
    """Steps an optimizer that the trainer knows nothing of, as Pyro does, inside training_step."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.net = network(False)
        self.own = torch.optim.SGD(self.net.parameters(), 0.01)

    def training_step(self, batch, batch_idx):
        nn.functional.cross_entropy(self.net(batch[0]), batch[1]).backward()
        self.own.step()
        self.own.zero_grad()
        self.optimizers().step()  # of parameters whose gradients are gone

    def configure_optimizers(self):
        return torch.optim.SGD(self.net.parameters(), 0.0)


def test_an_optimizer_outside_the_trainer_leaves_nothing_to_watch():
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(Outside(), data())
    assert watch.report.findings == ()
    assert {frame.norm for frame in watch.report.frames} == {None}
