"""Learning-rate changes under every scheduler."""

import importlib
import inspect

import pytest
import torch
from torch.optim import lr_scheduler

from tests.callbacks.fits import NAMESPACES, data, module, network, trainer
from tests.fits.decayed import ACTS_AT, FACTOR, decayed, groups, scheduled, stepped, watch
from tests.remedies.optimizers import SCHEDULERS, OwnConstants, Recorder

pl = importlib.import_module(NAMESPACES[0])


def test_no_scheduler_of_torch_is_left_out():
    every = {
        name
        for name, item in vars(lr_scheduler).items()
        if inspect.isclass(item) and issubclass(item, lr_scheduler.LRScheduler) and not name.endswith("LRScheduler")
    }
    assert {"StepLR", "ReduceLROnPlateau", "SequentialLR"} <= every
    assert every <= {name.partition(" ")[0] for name in SCHEDULERS}


# What Lightning says of one cycle over epochs, with and without us.
@pytest.mark.filterwarnings("ignore:A `OneCycleLR` scheduler is using 'interval':RuntimeWarning")
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("schedule", SCHEDULERS)
def test_the_factor_sticks(schedule, interval):
    plain = stepped(scheduled(schedule, interval))
    ours = watch()
    assert stepped(scheduled(schedule, interval), ours) == decayed(plain)
    [event] = ours.report.events
    assert event.new == pytest.approx([FACTOR * rate for rate in event.old])
    frames = ours.report.frames
    assert [frame.rates for frame in frames] == [pytest.approx(rates) for rates in decayed_rates(plain)]
    assert [frame.rate_scale for frame in frames] == [1.0] * ACTS_AT + [FACTOR] * (len(frames) - ACTS_AT)


def decayed_rates(plain):
    return [tuple(rate * (FACTOR if step >= ACTS_AT else 1.0) for rate in rates) for step, rates in enumerate(plain)]


@pytest.mark.parametrize("schedule", ["OneCycleLR", "CosineAnnealingWarmRestarts", "own constants", "none"])
def test_rates_that_are_tensors(schedule):
    plain = stepped(scheduled(schedule, tensor=True))
    assert stepped(scheduled(schedule, tensor=True), watch()) == decayed(plain)


# --- rates that the user writes himself ------------------------------------------------------------------------------


def write(fitted, step):
    for group in fitted.recorder.param_groups:
        group["lr"] = 0.2 * min(1.0, (1 + step) / 6)


def written_in_optimizer_step(fitted):
    def optimizer_step(epoch, batch_idx, optimizer, optimizer_closure):
        write(fitted, fitted.trainer.global_step)
        optimizer.step(closure=optimizer_closure)

    fitted.optimizer_step = optimizer_step


def written_after_optimizer_step(fitted):
    """As older examples of Lightning warm up."""

    def optimizer_step(epoch, batch_idx, optimizer, optimizer_closure):
        optimizer.step(closure=optimizer_closure)
        write(fitted, fitted.trainer.global_step)

    fitted.optimizer_step = optimizer_step


def written_in_training_step(fitted):
    step = fitted.training_step

    def training_step(batch, batch_idx):
        write(fitted, fitted.trainer.global_step)
        return step(batch, batch_idx)

    fitted.training_step = training_step


def written_before_the_step(fitted):
    fitted.on_before_optimizer_step = lambda optimizer: write(fitted, fitted.trainer.global_step)


@pytest.mark.parametrize("schedule", ["none", "OneCycleLR"])
@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(written_in_optimizer_step, id="warm-up in optimizer_step"),
        pytest.param(written_after_optimizer_step, id="warm-up behind optimizer_step"),
        pytest.param(written_in_training_step, id="rate written in training_step"),
        pytest.param(written_before_the_step, id="rate written in on_before_optimizer_step"),
    ],
)
def test_rates_that_the_user_writes_are_decayed_once(rewrite, schedule):
    def fit(*callbacks):
        fitted = scheduled(schedule)
        rewrite(fitted)
        return stepped(fitted, *callbacks)

    assert fit(watch()) == decayed(fit())


class Two(pl.LightningModule):
    """Manual optimisation with two optimizers, one of them stepped every other time, the other one raw."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.net = network()

    def training_step(self, batch, batch_idx):
        loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        one, two = self.optimizers()
        one.zero_grad()
        two.zero_grad()
        self.manual_backward(loss)
        one.step()
        if batch_idx % 2 == 0:
            two.optimizer.step()
        for scheduler in self.lr_schedulers():
            scheduler.step()

    def configure_optimizers(self):
        parts = (self.net[:10], self.net[10:])
        self.recorders = [Recorder(part.parameters(), lr) for part, lr in zip(parts, (0.1, 0.01), strict=True)]
        return self.recorders, [lr_scheduler.ExponentialLR(self.recorders[0], 0.9), OwnConstants(self.recorders[1])]


def test_two_optimizers_in_manual_optimisation():
    def fit(*callbacks):
        fitted = Two()
        trainer(NAMESPACES[0], callbacks, max_epochs=2).fit(fitted, data())
        return [recorder.seen for recorder in fitted.recorders]

    (one, two), (ours, theirs) = fit(), fit(watch())
    assert ours == decayed(one)
    assert theirs == decayed(two, start=2)  # its third step is the fit's fifth


def test_optimizers_that_are_exchanged_during_the_fit():
    class Exchange(pl.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 1:
                pl_module.first = pl_module.recorder
                pl_module.recorder = groups(pl_module.net)
                trainer.strategy.optimizers = [pl_module.recorder]

    assert stepped(scheduled("none"), watch(), Exchange()) == [pytest.approx((0.01, 0.005))] * 8


def test_an_optimizer_without_step_hooks_is_said():
    class Bare:
        """What Lightning takes for an optimizer: no base class, no hooks."""

        def __init__(self, inner):
            self.inner, self.state, self.defaults = inner, inner.state, inner.defaults
            self.param_groups = inner.param_groups
            self.state_dict, self.load_state_dict = inner.state_dict, inner.load_state_dict
            self.zero_grad = inner.zero_grad

        def step(self, closure=None):
            return self.inner.step(closure)

    ours = watch()
    fitted = module(NAMESPACES[0], network())
    fitted.configure_optimizers = lambda: Bare(torch.optim.SGD(fitted.parameters(), 0.1))
    trainer(NAMESPACES[0], [ours]).fit(fitted, data())
    assert ours.report.events == ()
    assert ours.report.notes == (
        "the learning rate of Bare cannot be decayed: it is no torch optimizer, which has step hooks",
    )


# --- beside others ---------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Swapping scheduler:UserWarning")
def test_stochastic_weight_averaging_beside_it():
    def fit(*callbacks):
        average = pl.callbacks.StochasticWeightAveraging(swa_lrs=[0.02, 0.02], swa_epoch_start=2, annealing_epochs=2)
        return stepped(scheduled("StepLR", "epoch"), *callbacks, average, epochs=4)

    assert fit(watch()) == decayed(fit())


def test_monitor_shows_the_schedules_rate_and_ours_what_was_stepped_with(tmp_path):
    logger = pl.loggers.CSVLogger(tmp_path, flush_logs_every_n_steps=1)
    monitor = pl.callbacks.LearningRateMonitor("step")
    seen = stepped(scheduled("ExponentialLR"), watch(), monitor, logger=logger)
    plain = stepped(scheduled("ExponentialLR"))
    rows = table(tmp_path)
    assert rows["lr-Recorder/pg1"] == pytest.approx([rates[0] for rates in plain])
    assert rows["gradwatch/learning_rate"] == pytest.approx([rates[0] for rates in seen])
    assert rows["gradwatch/learning_rate_scale"] == [1.0] * ACTS_AT + [FACTOR] * (len(seen) - ACTS_AT)


def table(folder):
    """The columns of a CSVLogger without their gaps."""
    import csv

    [path] = folder.rglob("metrics.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


# --- undo ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["none", "CosineAnnealingWarmRestarts", "own constants"])
def test_undo_gives_the_schedules_rates_back_exactly(schedule):
    class Undo(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.global_step == 7:
                ours.undo()
                ours.undo()  # there is nothing left to take back

    ours = watch(decay_factor=1 / 3, max_decays=3, cooldown_steps=2)
    seen = stepped(scheduled(schedule), ours, Undo(), epochs=2)
    plain = stepped(scheduled(schedule), epochs=2)
    assert seen[7:] == plain[7:]
    assert seen[3:5] == decayed(plain[3:5], 0, 1 / 3)
    *decays, undone = ours.report.events
    assert [event.step for event in decays] == [2, 4, 6]
    assert (undone.action, undone.step, undone.new) == ("undo_decay_lr", 6, pytest.approx(plain[7]))
    assert undone.old == pytest.approx([rate / 27 for rate in plain[7]])
    assert all(event.effect is None for event in decays)
