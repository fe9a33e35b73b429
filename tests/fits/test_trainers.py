"""Trainer settings, loggers and kinds of data."""

import contextlib
import importlib
import io
import os
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.callbacks.fits import NAMESPACES, data, module, network, trainer
from tests.fits.loaders import WithGaps, combined, of, stream, validating
from tests.fits.modules import fit, loss_of, plain, returns, strict, validated

pl = importlib.import_module(NAMESPACES[0])
SHORT = list(range(8))  # of one epoch; every step below 10 is measured
LONG = [*range(10), 11, 15]  # of two; the growing distances, and the last


def first_of_several():
    return returns(lambda m, batch: loss_of(m, next(b for b in batch if b is not None)))()


def skips(batch_idx):
    return lambda: plain(on_train_batch_start=lambda m: lambda batch, i: -1 if i == batch_idx else None)


class Iterates(pl.LightningModule):
    """Takes its batches from the loader itself."""

    def __init__(self):
        super().__init__()
        self.net = plain().net

    def training_step(self, dataloader_iter):
        return loss_of(self, next(dataloader_iter)[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def with_validation():
    return validated(plain())


# id: module, loaders, Trainer options, measured steps
FITS = {
    "no logger": (plain, None, {}, SHORT),
    "default logger": (plain, None, {"logger": True}, SHORT),
    "fast_dev_run": (with_validation, validating(), {"fast_dev_run": True}, [0]),
    "fast_dev_run=3": (with_validation, validating(), {"fast_dev_run": 3}, [0, 1, 2]),
    "overfit_batches=2": (plain, None, {"overfit_batches": 2, "max_epochs": 3}, [0, 1, 2, 3, 4, 5]),
    "limit_train_batches=0": (plain, None, {"limit_train_batches": 0}, []),
    "limit_train_batches=3": (plain, None, {"limit_train_batches": 3}, [0, 1, 2]),
    "limit_train_batches=0.5": (plain, None, {"limit_train_batches": 0.5}, [0, 1, 2, 3]),
    "max_epochs=0": (plain, None, {"max_epochs": 0}, []),
    "max_steps=0": (plain, None, {"max_epochs": -1, "max_steps": 0}, []),
    "max_steps=1": (plain, None, {"max_epochs": -1, "max_steps": 1}, [0]),
    "max_steps=13": (plain, None, {"max_epochs": -1, "max_steps": 13}, [*range(10), 11, 12]),
    "sanity check": (with_validation, validating(), {"num_sanity_val_steps": -1}, SHORT),
    "no sanity check": (with_validation, validating(), {"num_sanity_val_steps": 0}, SHORT),
    "validation within the epoch": (with_validation, validating(), {"val_check_interval": 3}, SHORT),
    "validation by steps, across epochs": (
        with_validation,
        validating(),
        {"val_check_interval": 5, "check_val_every_n_epoch": None, "max_epochs": 2},
        LONG,
    ),
    "validation every second epoch": (
        with_validation,
        validating(),
        {"check_val_every_n_epoch": 2, "max_epochs": 2},
        LONG,
    ),
    "reload_dataloaders_every_n_epochs=1": (
        plain,
        None,
        {"reload_dataloaders_every_n_epochs": 1, "max_epochs": 2},
        LONG,
    ),
    "accumulate_grad_batches=3, short last window": (plain, None, {"accumulate_grad_batches": 3}, [0, 1, 2]),
    "profiler": (plain, None, {"profiler": "simple"}, SHORT),
    "detect_anomaly": (plain, None, {"detect_anomaly": True}, SHORT),
    "inference_mode=False": (with_validation, validating(), {"inference_mode": False}, SHORT),
    "use_distributed_sampler=False": (plain, None, {"use_distributed_sampler": False}, SHORT),
    "IterableDataset without a length": (plain, stream(13), {}, [*range(10), 11, 12]),
    "IterableDataset, two epochs": (plain, stream(13), {"max_epochs": 2}, [*range(10), 11, 16, 23, 25]),
    "epochs of length zero": (plain, stream(0), {"max_epochs": 2}, []),
    "empty loader": (plain, of(list), {}, []),
    "a loader that yields None": (plain, of(WithGaps), {}, [0, 1, 3, 4, 6, 7]),
    "dataloader_iter": (Iterates, None, {}, SHORT),
    "CombinedLoader, min_size": (first_of_several, combined("min_size"), {}, [0, 1, 2]),
    "CombinedLoader, max_size": (first_of_several, combined("max_size"), {}, [0, 1, 2, 3, 4]),
    "CombinedLoader, max_size_cycle": (first_of_several, combined("max_size_cycle"), {}, [0, 1, 2, 3, 4]),
    "epoch cut short by on_train_batch_start": (skips(3), None, {"max_epochs": 2}, [0, 1, 2, 3, 4, 5]),
    "epoch skipped by on_train_batch_start": (skips(0), None, {"max_epochs": 2}, []),
}


@pytest.mark.parametrize(("build", "loaders", "options", "steps"), FITS.values(), ids=FITS.keys())
def test_the_same_fit_measured(build, loaders, options, steps):
    """Bit for bit the fit without the watch, its report whole: first step and last in it, nothing wrongly said."""

    def outcome(callbacks):
        return fit(build(), callbacks, None if loaders is None else loaders(), **options)

    plainly, watch = outcome([]), strict(every_n_steps=100, picture_every_n_steps=0)
    assert outcome([watch]) == plainly
    assert [frame.step for frame in watch.report.frames] == steps
    assert (watch.report.findings, watch.report.notes) == ((), ())
    assert ("Nothing was measured" in str(watch.report)) == (not steps)


def test_barebones():
    watch = strict()
    runner = pl.Trainer(accelerator="cpu", max_epochs=1, barebones=True, callbacks=[watch])
    runner.fit(plain(log=lambda m: lambda *a, **k: None), data())  # barebones warns of every log of the user's
    assert len(watch.report.frames) == 8


@pytest.mark.parametrize("bar", ["TQDMProgressBar", "RichProgressBar"])
def test_a_progress_bar_has_nothing_of_ours_in_it(bar):
    shown = []

    class Bar(getattr(pl.callbacks, bar)):
        def get_metrics(self, trainer, pl_module):
            shown.append(super().get_metrics(trainer, pl_module))
            return shown[-1]

    watch = strict()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        runner = pl.Trainer(
            accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, callbacks=[watch, Bar()]
        )
        runner.fit(module(NAMESPACES[0], network()), data())
    assert len(watch.report.findings) == 1
    assert not any(key.startswith("gradwatch/") for metrics in shown for key in metrics)


def loggers(*names):
    return [getattr(pl.loggers, name)(save_dir=f"logs{i}") for i, name in enumerate(names)]


@pytest.mark.parametrize(
    "names",
    [
        ("TensorBoardLogger", "CSVLogger"),
        ("CSVLogger", "TensorBoardLogger"),
        ("TensorBoardLogger", "TensorBoardLogger"),
    ],
    ids=["TensorBoard and CSV", "CSV and TensorBoard", "two TensorBoards"],
)
def test_several_loggers(names):
    watch = strict()
    fit(plain(), [watch], logger=loggers(*names), max_epochs=2)
    for i, name in enumerate(names):
        if name == "CSVLogger":
            lines = next(Path(f"logs{i}").rglob("metrics.csv")).read_text().splitlines()
            column = lines[0].split(",").index("gradwatch/loss")
            assert sum(bool(line.split(",")[column]) for line in lines[1:]) == 16
        else:
            assert steps_on_disk(f"logs{i}") == list(range(16))


def test_two_fits_of_one_logger_leave_no_file_open():
    watch, logger = strict(), pl.loggers.TensorBoardLogger("logs")
    for _ in range(2):
        fit(plain(), [watch], logger=logger)
        assert not open_event_files()


ALONE = ["validate", "test", "predict"]


@pytest.mark.parametrize("verb", ALONE)
def test_without_a_fit(verb):
    watch = strict()
    run(verb, trainer(NAMESPACES[0], [watch]))
    assert watch.report.frames == ()
    assert "Nothing was measured" in str(watch.report)


@pytest.mark.parametrize("verb", ALONE)
def test_a_later_run_leaves_the_report_of_the_fit(verb):
    watch, fitted = strict(), with_validation()
    runner = trainer(NAMESPACES[0], [watch])
    runner.fit(fitted, **validating()())
    before = watch.report
    run(verb, runner, fitted)
    assert watch.report == before
    run(verb, trainer(NAMESPACES[0], [watch]))
    assert watch.report == before


def run(verb, runner, fitted=None):
    options = {} if verb == "predict" else {"verbose": False}
    getattr(runner, verb)(fitted or with_validation(), data(), **options)


def steps_on_disk(folder):
    [file] = Path(folder).rglob("events*")
    return [event.step for event in EventAccumulator(str(file.parent)).Reload().Scalars("gradwatch/loss")]


def open_event_files():
    folder = Path("/proc/self/fd")
    links = [os.readlink(link) for link in folder.iterdir() if link.exists()] if folder.exists() else []
    return [link for link in links if "tfevents" in link]
