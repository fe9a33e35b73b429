"""Fits that end early: should_stop, max_time, Ctrl-C, SIGTERM."""

import pytest

from lightning_gradwatch.sinks import read_recording
from tests.callbacks.fits import NAMESPACES, data, trainer
from tests.fits.modules import loss_of, plain, strict
from tests.fits.test_trainers import steps_on_disk


def stops(where, at):
    """Asks Lightning to stop in that hook, once ``at`` steps are done."""

    def hook(fitted):
        def body(*args):
            fitted.trainer.should_stop = fitted.trainer.should_stop or fitted.trainer.global_step >= at
            return loss_of(fitted, args[0]) if where == "training_step" else None

        return (lambda batch, batch_idx: body(batch)) if where == "training_step" else body

    return plain(**{where: hook})


@pytest.mark.parametrize("where", ["on_train_batch_start", "training_step"])
def test_should_stop_before_the_backward_is_in_time_for_the_last_step(where):
    watch = strict(every_n_steps=100)
    trainer(NAMESPACES[0], [watch], max_epochs=3).fit(stops(where, 13), data(26))
    assert [frame.step for frame in watch.report.frames] == [*range(10), 11, 13]


@pytest.mark.parametrize(
    ("options", "last"), [({"min_steps": 11}, 10), ({"min_epochs": 2}, 15)], ids=["min_steps", "min_epochs"]
)
def test_should_stop_waits_for(options, last):
    watch = strict(every_n_steps=100)
    trainer(NAMESPACES[0], [watch], max_epochs=3, **options).fit(stops("training_step", 3), data())
    assert [frame.step for frame in watch.report.frames] == sorted({*range(10), *([11] if last > 11 else []), last})


@pytest.mark.parametrize("where", ["on_after_backward", "on_train_batch_end"])
def test_should_stop_too_late_leaves_the_last_measured_step(where):
    watch = strict(every_n_steps=100)
    trainer(NAMESPACES[0], [watch], max_epochs=3).fit(stops(where, 13), data(26))
    assert [frame.step for frame in watch.report.frames] == [*range(10), 11]


def test_max_time_is_over():
    watch = strict()
    trainer(NAMESPACES[0], [watch], max_time={"seconds": 0}).fit(plain(), data())
    assert watch.report.frames == ()
    assert "Nothing was measured" in str(watch.report)


SIGNALLED = """
import logging, os, signal, warnings
warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
from lightning.pytorch.loggers import TensorBoardLogger
from tests.callbacks.fits import NAMESPACES, data, trainer
from tests.fits.modules import plain, loss_of, strict

def step(fitted):
    def training_step(batch, batch_idx):
        if batch_idx == 5:
            os.kill(os.getpid(), getattr(signal, name))
        return loss_of(fitted, batch)
    return training_step

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would this
for name in ("SIGTERM", "SIGINT"):  # after the latter Lightning hears no Ctrl-C any more
    watch = strict(verbose=False, record_to=f"{name}.jsonl")
    runner = trainer(NAMESPACES[0], [watch], logger=TensorBoardLogger(name))
    try:
        runner.fit(plain(training_step=step), data())
    except BaseException as error:
        print(name, type(error).__name__)
"""


def test_signals(run_python):
    """SIGTERM lets the running batch end, Ctrl-C does not: everything is on disk up to there."""
    assert run_python(SIGNALLED).split() == ["SIGTERM", "SIGTERMException", "SIGINT", "SystemExit"]
    for name, steps in (("SIGTERM", [0, 1, 2, 3, 4, 5]), ("SIGINT", [0, 1, 2, 3, 4])):
        assert steps_on_disk(name) == steps
        assert [frame.step for frame in read_recording(f"{name}.jsonl").frames] == steps
