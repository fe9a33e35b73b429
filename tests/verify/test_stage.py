"""A LightningModule where there is no Trainer, in either Lightning."""

import warnings

import pytest
import torch
from torch import nn

from lightning_gradwatch._lightning import NAMESPACES, namespace
from lightning_gradwatch.verify.stage import NoTrainer, Stage, is_module, set_up

BATCH = (torch.ones(2, 3), torch.zeros(2, 1))


@pytest.fixture(params=NAMESPACES)
def make(request):
    """A function that makes a LightningModule with the given methods."""

    def made(**methods):
        module = type("Module", (namespace(request.param).LightningModule,), methods)()
        module.layer = nn.Linear(3, 1)
        return module

    return made


def sgd(module):
    return torch.optim.SGD(module.parameters(), lr=0.1)


def on_stage(module, steps=5):
    set_up(module, steps)
    return Stage(module, steps, lambda loss: loss.backward())


def test_modules_are_told_by_what_they_can_do(make):
    assert is_module(make())
    assert not is_module(nn.Linear(1, 1))


def both(one, two):
    return lambda self: [one(self), two(self)]


FORMS = {
    "one": sgd,
    "in a list": lambda self: [sgd(self)],
    "in a dict": lambda self: {"optimizer": sgd(self)},
    "with a schedule": lambda self: ([o := sgd(self)], [torch.optim.lr_scheduler.StepLR(o, 1)]),
    "with a schedule in a dict": lambda self: {
        "optimizer": (o := sgd(self)),
        "lr_scheduler": {"scheduler": torch.optim.lr_scheduler.StepLR(o, 1), "interval": "step"},
    },
    "several": lambda self: [sgd(self), sgd(self)],
    "several in dicts": lambda self: ({"optimizer": sgd(self)}, {"optimizer": sgd(self)}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_configure_optimizers(make, form):
    stage = on_stage(make(configure_optimizers=form))
    several = form in (FORMS["several"], FORMS["several in dicts"])
    assert len(stage.optimizers) == 1 + several
    assert stage.trouble == ""
    given = stage.module.optimizers()
    assert given == stage.optimizers if several else given is stage.optimizers[0]
    scheduled = form in (FORMS["with a schedule"], FORMS["with a schedule in a dict"])
    assert (stage.module.lr_schedulers() is not None) == scheduled


def test_none_at_all_is_no_trouble_for_anybody_but_the_reader(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert on_stage(make()).trouble == "it gave none"


def test_rates_are_those_after_the_warm_up(make):
    def warm(self):
        optimizer = sgd(self)
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)]

    assert on_stage(make(configure_optimizers=warm)).optimizers[0].param_groups[0]["lr"] == 0.1


def test_the_moments_before_a_step_come_in_their_order(make):
    told = []

    def hook(name):
        return lambda self, *args: told.append(name)

    names = ("configure_model", "setup", "on_train_start", "on_train_epoch_start", "on_train_batch_start")
    module = make(training_step=hook("training_step"), **{name: hook(name) for name in names})
    on_stage(module).loss(BATCH, 0)
    assert told == [*names, "training_step"]


def test_batches_pass_the_hooks_of_transfer(make):
    def doubled(self, batch, index):
        return [tensor * 2 for tensor in batch]

    seen = []
    module = make(on_after_batch_transfer=doubled, training_step=lambda self, batch, batch_idx: seen.append(batch))
    on_stage(module).loss(BATCH, 0)
    assert torch.equal(seen[0][0], 2 * BATCH[0])


STEPS = {
    "batch alone": lambda self, batch: self.layer(batch[0]).sum(),
    "batch and index": lambda self, batch, batch_idx: self.layer(batch[0]).sum() + batch_idx,
    "a dict": lambda self, batch, batch_idx: {"loss": self.layer(batch[0]).sum()},
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_every_form_of_training_step(make, step):
    assert on_stage(make(training_step=step)).loss(BATCH, 0).grad_fn is not None


def test_logging_is_swallowed_in_modules_within_modules_too(make):
    def step(self, batch, batch_idx):
        self.log("a", torch.ones(()))
        self.inner.log_dict({"b": 1.0})
        self.logger.experiment.add_scalar("c", 1)
        self.loggers[0].log_metrics({})
        return self.layer(batch[0]).sum()

    module = make(training_step=step)
    module.inner = make()
    assert on_stage(module).loss(BATCH, 0) is not None


@pytest.mark.parametrize(("algorithm", "left"), [("norm", 1.0), ("value", 3**0.5 / 2)])
def test_clipping_by_hand_clips(make, algorithm, left):
    stage = on_stage(make(configure_optimizers=sgd))
    weight = stage.module.layer.weight
    weight.grad = torch.full_like(weight, 7.0)
    bound = 1.0 if algorithm == "norm" else 0.5
    optimizer = stage.optimizers[0]
    stage.module.clip_gradients(optimizer, gradient_clip_val=bound, gradient_clip_algorithm=algorithm)
    assert float(weight.grad.norm()) == pytest.approx(left, rel=1e-4)
    stage.module.clip_gradients(optimizer)
    assert float(weight.grad.norm()) == pytest.approx(left, rel=1e-4)


def test_the_facts_of_a_beginning(make):
    module = make()
    trainer = NoTrainer(module, 12)
    assert (trainer.estimated_stepping_batches, trainer.current_epoch, trainer.world_size) == (12, 0, 1)
    assert not hasattr(trainer, "strategy")
    with pytest.raises(AttributeError, match=r"without a Trainer, so that self.trainer.x is not there"):
        trainer.x  # noqa: B018


def test_data_is_there_for_those_who_look_for_it(make):
    class Data:
        train_dataloader = None

    module, data = make(), Data()
    set_up(module, 3, data)
    assert module.trainer.datamodule is data
