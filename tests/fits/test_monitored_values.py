"""EarlyStopping, ModelCheckpoint and plateau schedulers on values of the watch."""

import importlib
import math

import pytest
import torch

from lightning_gradwatch.sinks import SCALARS
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer
from tests.fits.loaders import validating
from tests.fits.modules import loss_of, plain, returns, strict, validated

pl = importlib.import_module(NAMESPACES[0])
LOST = "gradwatch/decades_lost"
ORDERS = pytest.mark.parametrize("order", ["before us", "after us"])


def listed(other, watch, order):
    return [other, watch] if order == "before us" else [watch, other]


def sick(namespace=NAMESPACES[0]):
    return validated(module(namespace, network(), "SGD", rate=0.01))


@ORDERS
@both_namespaces
@pytest.mark.parametrize(
    ("options", "last"),
    [({}, 7), ({"val_check_interval": 3}, 2)],
    ids=["after an epoch", "after a validation in the epoch"],
)
def test_early_stopping_when_the_gradient_is_lost(namespace, options, last, order):
    stopper = importlib.import_module(namespace).callbacks.EarlyStopping(LOST, divergence_threshold=4.0)
    watch = strict(verbose=False)
    runner = trainer(namespace, listed(stopper, watch, order), max_epochs=5, **options)
    runner.fit(sick(namespace), **validating()())
    assert [frame.step for frame in watch.report.frames] == list(range(last + 1))
    assert "Divergence threshold reached" in stopper.stopping_reason_message


@ORDERS
def test_early_stopping_lets_a_healthy_fit_go_on(order):
    watch = strict()
    stopper = pl.callbacks.EarlyStopping(LOST, divergence_threshold=4.0, patience=99)
    trainer(NAMESPACES[0], listed(stopper, watch, order), max_epochs=3).fit(plain(), data())
    assert len(watch.report.frames) == 24


@ORDERS
def test_the_checkpoint_with_the_best_flow(order, tmp_path):
    saver = pl.callbacks.ModelCheckpoint(tmp_path, monitor=LOST, save_top_k=1, mode="min")
    watch = strict(verbose=False)
    runner = trainer(NAMESPACES[0], listed(saver, watch, order), max_epochs=3, enable_checkpointing=True)
    runner.fit(module(NAMESPACES[0], network(), rate=0.05), data())
    lost = [-sum(segment.decades for segment in frame.ledgers[0].body) for frame in watch.report.frames[7::8]]
    assert saver.best_model_score == pytest.approx(min(lost), abs=1e-4)
    assert f"epoch={lost.index(min(lost))}-" in saver.best_model_path


def test_a_plateau_scheduler_of_the_user():
    def configure(fitted):
        optimizer = torch.optim.SGD(fitted.parameters(), 0.01)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "gradwatch/open_findings"}}

    fitted = plain(configure_optimizers=lambda m: lambda: configure(m))
    runner = trainer(NAMESPACES[0], [strict()], max_epochs=3)
    runner.fit(fitted, data())
    assert runner.optimizers[0].param_groups[0]["lr"] == 0.01 / 4  # 0 findings, then no more, twice


def test_values_are_those_of_the_last_measured_step_and_stand_nowhere_else():
    told = []

    class Logger(pl.loggers.CSVLogger):
        def log_metrics(self, metrics, step=None):
            told.extend((key, step) for key in metrics)
            super().log_metrics(metrics, step)

    watch = strict()
    runner = trainer(NAMESPACES[0], [watch], logger=Logger("logs"))
    runner.fit(plain(), data())
    ours = {key: float(value) for key, value in runner.callback_metrics.items() if key.startswith("gradwatch/")}
    assert list(ours) == list(SCALARS)
    assert ours["gradwatch/loss"] == pytest.approx(watch.report.frames[-1].loss)
    assert not any(key.startswith("gradwatch/") for key in (*runner.progress_bar_metrics, *runner.logged_metrics))
    assert sorted(told) == sorted(set(told))  # each key once a step


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning")
def test_a_step_that_knows_nothing_leaves_the_value_before_it():
    """A NaN in between would end the fit: early stopping checks that its value is finite."""
    watch = strict()
    stopper = pl.callbacks.EarlyStopping(LOST, patience=99)
    build = returns(lambda m, batch: loss_of(m, batch) if m.trainer.global_step < 6 else None)
    runner = trainer(NAMESPACES[0], [stopper, watch], max_epochs=3)
    runner.fit(build(), data())
    assert runner.current_epoch == 3
    assert math.isfinite(runner.callback_metrics[LOST])


def test_keys_are_there_before_anything_is_known():
    """One window of the accumulation is longer than the distance of two validations."""
    seen = []

    class Looks(pl.Callback):
        def on_validation_end(self, trainer, pl_module):
            seen.append(trainer.callback_metrics.get(LOST))

    options = {"accumulate_grad_batches": 4, "val_check_interval": 2, "num_sanity_val_steps": 0}
    trainer(NAMESPACES[0], [Looks(), strict()], **options).fit(validated(plain()), **validating()())
    assert [math.isfinite(value) for value in seen] == [False, True, True, True]


def test_keys_are_there_from_the_first_step_of_a_resumed_fit(tmp_path):
    runner = trainer(NAMESPACES[0], [strict(every_n_steps=100)], max_epochs=2)
    runner.fit(plain(), data())
    runner.save_checkpoint(tmp_path / "half.ckpt")
    known = runner.callback_metrics[LOST]
    seen = []

    class Looks(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(trainer.callback_metrics.get(LOST))

    watch = strict(every_n_steps=100)
    again = trainer(NAMESPACES[0], [Looks(), watch], max_epochs=3)
    again.fit(plain(), data(), ckpt_path=tmp_path / "half.ckpt")
    assert seen[0] == known
