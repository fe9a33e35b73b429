"""Searches, warm-ups and skipped steps decay nothing."""

import importlib

import pytest
import torch

from lightning_gradwatch.verify import casebook
from tests.callbacks.fits import NAMESPACES, data, module, network, trainer
from tests.fits.decayed import ACTS_AT, FACTOR, decayed, scheduled, stepped, watch

pl = importlib.import_module(NAMESPACES[0])


def test_a_warm_up_from_zero_is_no_proof_of_anything():
    """Steps at rate 0 move no weights: the verdict, and with it the decay, waits for three that do."""

    def fit(*callbacks):
        fitted = scheduled("none")
        step = fitted.training_step

        def training_step(batch, batch_idx):
            for group in fitted.recorder.param_groups:
                group["lr"] = 0.02 * max(0, fitted.trainer.global_step - 5)
            return step(batch, batch_idx)

        fitted.training_step = training_step
        return stepped(fitted, *callbacks)

    ours = watch(min_lr=0)
    plain = fit()
    assert fit(ours) == decayed(plain, start=9)
    [event] = ours.report.events
    assert (event.step, event.old) == (8, pytest.approx((0.06, 0.06)))


def test_no_further_decay_while_the_rate_stands_at_zero():
    """A restart from 0 in the middle of the fit, at the very step that the cooldown ends."""

    def fit(*callbacks):
        fitted = scheduled("none")
        rates = [0.1] * 5 + [0.0] * 3 + [0.1] * 4
        fitted.on_before_optimizer_step = lambda optimizer: [
            group.update(lr=rates[fitted.trainer.global_step]) for group in fitted.recorder.param_groups
        ]
        return stepped(fitted, *callbacks)

    ours = watch(cooldown_steps=3, max_decays=2)
    seen = fit(ours)
    assert [event.step for event in ours.report.events] == [2, 8]
    assert [rates[0] for rates in seen] == pytest.approx([0.1] * 3 + [0.01] * 2 + [0.0] * 3 + [0.01] + [0.001] * 3)


def test_a_decay_that_changes_nothing_is_none_and_does_not_add_up():
    """Below ``min_lr`` there is nothing to decay; what comes later is decayed once, not as often as tried."""

    def fit(*callbacks):
        fitted = scheduled("none")
        fitted.on_before_optimizer_step = lambda optimizer: [
            group.update(lr=1e-4 if fitted.trainer.global_step < 8 else 0.1) for group in fitted.recorder.param_groups
        ]
        return stepped(fitted, *callbacks)

    ours = watch(min_lr=1e-3)
    assert fit(ours) == decayed(fit(), start=9)
    assert [event.step for event in ours.report.events] == [8]


@pytest.mark.parametrize("fused", [False, True], ids=["plain Adam", "fused Adam"])
def test_no_decay_on_steps_that_the_scaler_skips(fused):
    """The loss overflows on the steps on which the cooldown ends."""
    overflowing = (5, 6)

    def training_step(batch, batch_idx):
        loss = torch.nn.functional.cross_entropy(fitted.net(batch[0]), batch[1])
        return loss * float("inf") if batch_idx in overflowing else loss

    fitted = module(NAMESPACES[0], network())
    fitted.training_step = training_step
    fitted.configure_optimizers = lambda: torch.optim.Adam(fitted.parameters(), 1e-3, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    plugin = pl.plugins.MixedPrecision("16-mixed", "cpu", scaler)
    ours = watch(cooldown_steps=3, max_decays=2, decay_factor=0.5)
    trainer(NAMESPACES[0], [ours], plugins=[plugin]).fit(fitted, data(12))
    skipped = [frame.step for frame in ours.report.frames if frame.skipped]
    assert skipped == list(overflowing)
    assert [event.step for event in ours.report.events] == [2, 7]
    assert [event.new[0] for event in ours.report.events] == pytest.approx([5e-4, 2.5e-4])


def tunable():
    fitted = scheduled("none")
    fitted.lr, fitted.batch_size = 0.1, 16
    configure = fitted.configure_optimizers

    def configure_optimizers():
        optimizer = configure()
        for group in optimizer.param_groups:
            group["lr"] = fitted.lr
        return optimizer

    fitted.configure_optimizers = configure_optimizers
    fitted.train_dataloader = lambda: torch.utils.data.DataLoader(data().dataset, fitted.batch_size)
    return fitted


SEARCHES = {
    "LearningRateFinder": lambda: pl.callbacks.LearningRateFinder(1e-4, 0.3, num_training_steps=20),
    "BatchSizeFinder": lambda: pl.callbacks.BatchSizeFinder(steps_per_trial=2, max_trials=2, init_val=8),
}


@pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`:UserWarning")
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES.keys())
def test_a_search_before_the_fit_leaves_no_trace(search):
    def fit(*callbacks):
        torch.manual_seed(1)
        fitted = tunable()
        fits = trainer(NAMESPACES[0], callbacks, max_epochs=2)
        fits.fit(fitted)
        return fitted.recorder.seen[-fits.global_step :]

    plain = fit(search())
    for order in (1, -1):
        ours = watch()
        assert fit(*[ours, search()][::order]) == decayed(plain)
        assert [frame.step for frame in ours.report.frames] == list(range(len(plain)))
        assert [event.step for event in ours.report.events] == [2]


class SearchesBetween(pl.callbacks.LearningRateFinder):
    """As Lightning's documentation has it: at the beginning of some epochs."""

    def on_fit_start(self, *args):
        return

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            before = len(pl_module.recorder.seen)
            self.lr_find(trainer, pl_module)
            self.stepped = pl_module.recorder.seen[before:]
            self.first = before


def test_a_search_in_the_middle_of_the_fit_finds_the_clean_rate(monkeypatch):
    monkeypatch.setattr(casebook, "_CARRIED", 100)  # the search ends with a checkpoint, which may not thin the report

    def fit(search, *callbacks):
        torch.manual_seed(1)
        fitted = tunable()
        trainer(NAMESPACES[0], [*callbacks, search], max_epochs=4).fit(fitted)
        seen = fitted.recorder.seen
        return seen[: search.first] + seen[search.first + len(search.stepped) :]

    def finder():
        return SearchesBetween(1e-4, 0.3, num_training_steps=12, update_attr=False, early_stop_threshold=None)

    alone, beside, ours = finder(), finder(), watch()
    plain = fit(alone)
    assert fit(beside, ours) == decayed(plain)
    assert len(alone.stepped) == 12
    assert beside.stepped == alone.stepped
    frames = ours.report.frames
    assert [frame.step for frame in frames] == list(range(len(plain)))
    assert [frame.rate_scale for frame in frames] == [1.0] * ACTS_AT + [FACTOR] * (len(frames) - ACTS_AT)


def test_the_tuner_leaves_no_trace():
    fitted, ours = tunable(), watch()
    fits = trainer(NAMESPACES[0], [ours], max_epochs=1)
    pl.tuner.Tuner(fits).lr_find(fitted, min_lr=1e-4, max_lr=0.3, num_training=20, update_attr=False)
    assert (ours.report.frames, ours.report.events) == ((), ())
    fits.fit(fitted)
    assert [event.step for event in ours.report.events] == [2]
    assert len(ours.report.frames) == 8
