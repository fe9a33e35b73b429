"""Other callbacks beside the watch, before and after it in the list."""

import importlib
from datetime import timedelta

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from tests.callbacks.fits import NAMESPACES, data, network
from tests.fits.loaders import validating
from tests.fits.modules import fit, plain, strict, validated

pl = importlib.import_module(NAMESPACES[0])
callbacks = pl.callbacks
TWO, THREE = [*range(10), 11, 15], [*range(10), 11, 16, 23]  # the measured steps of two epochs and of three


class Learner(pl.LightningModule):
    """With what finders look for: a rate and a batch size."""

    def __init__(self):
        super().__init__()
        self.net, self.lr, self.batch_size = network(False, depth=4), 0.01, 8

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.lr)

    def train_dataloader(self):
        return DataLoader(data().dataset, self.batch_size)


class Grown(pl.LightningModule):
    """A backbone and a head, as BackboneFinetuning wants them."""

    def __init__(self):
        super().__init__()
        net = network(False, depth=4)
        self.backbone, self.head = net[:4], net[4:]

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.head(self.backbone(batch[0])), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(filter(lambda p: p.requires_grad, self.parameters()), 0.01)


class FindsLater(callbacks.LearningRateFinder):
    """Before the second epoch, as its documentation has it."""

    def on_fit_start(self, trainer, pl_module):
        pass

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            self.lr_find(trainer, pl_module)


def one_cycle():
    def configure(fitted):
        optimizer = torch.optim.SGD(fitted.parameters(), 0.01)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=16, cycle_momentum=False)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    return plain(configure_optimizers=lambda m: lambda: configure(m))


def with_validation():
    return validated(plain())


def newer(name):
    """A callback that not every Lightning has."""
    return getattr(callbacks, name, lambda: pytest.skip(f"no {name} in Lightning {pl.__version__}"))


def stopping(**options):
    return lambda: callbacks.EarlyStopping("val_loss", min_delta=1.0, **options)


def csv():
    return {"logger": pl.loggers.CSVLogger("logs")}


# id: module, the callback, loaders, Trainer options, measured steps
BESIDE = {
    "StochasticWeightAveraging": (
        plain,
        lambda: callbacks.StochasticWeightAveraging(0.01, swa_epoch_start=1),
        None,
        lambda: {"max_epochs": 3},
        THREE,
    ),
    "WeightAveraging": (with_validation, newer("WeightAveraging"), validating(), lambda: {"max_epochs": 2}, TWO),
    "EMAWeightAveraging": (with_validation, newer("EMAWeightAveraging"), validating(), lambda: {"max_epochs": 2}, TWO),
    "ModelPruning": (
        plain,
        lambda: callbacks.ModelPruning("l1_unstructured", amount=0.3),
        None,
        lambda: {"max_epochs": 3},
        THREE,
    ),
    "ModelPruning, lottery ticket": (
        plain,
        lambda: callbacks.ModelPruning("random_unstructured", amount=0.3, use_lottery_ticket_hypothesis=True),
        None,
        lambda: {"max_epochs": 3},
        THREE,
    ),
    "BackboneFinetuning": (
        Grown,
        lambda: callbacks.BackboneFinetuning(unfreeze_backbone_at_epoch=1),
        None,
        lambda: {"max_epochs": 3},
        THREE,
    ),
    "LearningRateMonitor and OneCycleLR": (
        one_cycle,
        callbacks.LearningRateMonitor,
        None,
        lambda: {"max_epochs": 2, **csv()},
        TWO,
    ),
    "LearningRateFinder": (
        Learner,
        lambda: callbacks.LearningRateFinder(num_training_steps=12),
        dict,
        lambda: {"max_epochs": 1},
        TWO,
    ),
    "LearningRateFinder between epochs": (
        Learner,
        lambda: FindsLater(num_training_steps=12),
        dict,
        lambda: {"max_epochs": 2},
        [*range(10), 11, 16, 23, 31],
    ),
    "BatchSizeFinder": (
        Learner,
        lambda: callbacks.BatchSizeFinder(init_val=4, max_trials=2, steps_per_trial=2),
        dict,
        lambda: {"max_epochs": 1},
        TWO,
    ),
    "Timer": (plain, lambda: callbacks.Timer(timedelta(hours=1)), None, lambda: {"max_epochs": 2}, TWO),
    "ModelCheckpoint": (
        plain,
        lambda: callbacks.ModelCheckpoint("here", every_n_train_steps=3, save_top_k=-1),
        None,
        lambda: {"max_epochs": 2, "enable_checkpointing": True},
        TWO,
    ),
    "OnExceptionCheckpoint": (
        plain,
        lambda: callbacks.OnExceptionCheckpoint("there"),
        None,
        lambda: {"enable_checkpointing": True},
        list(range(8)),
    ),
    "EarlyStopping after an epoch": (
        with_validation,
        stopping(patience=1),
        validating(),
        lambda: {"max_epochs": 9},
        TWO,
    ),
    "EarlyStopping after a validation in the epoch": (
        with_validation,
        stopping(patience=3, check_on_train_epoch_end=False),
        validating(),
        lambda: {"max_epochs": 9, "val_check_interval": 5},
        [*range(10), 11, 16, 23, 28],
    ),
    "RichModelSummary": (plain, callbacks.RichModelSummary, None, dict, list(range(8))),
    "LambdaCallback": (plain, lambda: callbacks.LambdaCallback(on_fit_start=print), None, dict, list(range(8))),
}


@pytest.mark.parametrize(("build", "other", "loaders", "options", "steps"), BESIDE.values(), ids=BESIDE.keys())
def test_no_interference_in_any_order(build, other, loaders, options, steps):
    """Bit for bit the fit without the watch, with the same user's metrics; every step of the fit and no other."""
    torch.manual_seed(0)

    def outcome(*beside):
        return fit(build(), beside, None if loaders is None else loaders(), **options())

    plainly, first, last = outcome(other()), strict(every_n_steps=100), strict(every_n_steps=100)
    assert outcome(first, other()) == plainly
    assert outcome(other(), last) == plainly
    assert [frame.step for frame in first.report.frames] == steps
    assert (first.report.findings, first.report.notes) == ((), ())
    assert norms(first) == norms(last)


def norms(watch):
    return [(frame.step, frame.loss, frame.norm, frame.ledgers) for frame in watch.report.frames]


def test_all_of_them_at_once():
    def outcome(watches):
        others = [callbacks.LearningRateMonitor(), newer("EMAWeightAveraging")(), stopping(patience=9)()]
        checkpoint = callbacks.ModelCheckpoint(save_top_k=-1)
        options = {"max_epochs": 2, "enable_checkpointing": True, **csv()}
        return fit(validated(one_cycle()), [*others, *watches, checkpoint], validating()(), **options)

    plainly = outcome([])
    two = [strict(name="one"), strict(name="two", every_n_steps=3)]
    assert outcome(two) == plainly
    assert [len(watch.report.frames) for watch in two] == [16, 12]


def test_pruned_layers_keep_their_names():
    watch = strict()
    fit(plain(), [watch, callbacks.ModelPruning("l1_unstructured", amount=0.3)], max_epochs=2)
    assert {ledger.target_layer for frame in watch.report.frames for ledger in frame.ledgers} == {"net.0"}


def test_a_thawed_backbone_is_the_new_target():
    watch = strict()
    fit(Grown(), [watch, callbacks.BackboneFinetuning(unfreeze_backbone_at_epoch=1)], max_epochs=2)
    assert [frame.ledgers[0].target_layer for frame in watch.report.frames] == ["head.4"] * 8 + ["backbone.0"] * 8
    assert len(watch.report.frames[-1].rates) == 2


def test_the_rate_finder_thins_no_report():
    """Restoring the interrupted fit must not replace what was measured by what a checkpoint can carry of it."""
    watch, fitted = strict(), Learner()
    fitted.net = network(False, depth=40)
    fit(fitted, [watch, FindsLater(num_training_steps=12)], {}, max_epochs=2)
    assert [frame.step for frame in watch.report.frames] == list(range(32))
