"""Nobody touches the code: GRADWATCH=1 in the environment."""

import copy
import importlib

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import both_namespaces, data, module, network, trainer
from tests.contracts.test_packaging import PROJECT
from tests.fits.test_from_outside import module_with, watches


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    """What ``pip install`` leaves of the entry points, wherever this checkout is imported from."""
    papers = tmp_path / "site" / "lightning_gradwatch-0.dist-info"
    papers.mkdir(parents=True)
    (papers / "METADATA").write_text("Metadata-Version: 2.1\nName: lightning-gradwatch\nVersion: 0\n")
    groups = PROJECT["entry-points"].items()
    lines = [line for group, points in groups for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points.items()))]
    (papers / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(papers.parent)


@pytest.fixture
def switched_on(monkeypatch):
    monkeypatch.setenv("GRADWATCH", "1")


def fit_of(namespace, callbacks=(), fitted=None, **options):
    """A finished fit, and its trainer."""
    made = trainer(namespace, callbacks, **options)
    made.fit(module(namespace, network()) if fitted is None else fitted, data())
    return made


def tensorboard(namespace, where):
    return importlib.import_module(f"{namespace}.loggers").TensorBoardLogger(where, name=None, version="")


@both_namespaces
def test_a_trainer_of_anybody_is_watched(namespace, switched_on, tmp_path):
    [watch] = watches(fit_of(namespace, logger=tensorboard(namespace, tmp_path / "logs")))
    [finding] = watch.report.findings
    assert finding.kind == "vanishing"
    events = EventAccumulator(str(tmp_path / "logs")).Reload()
    assert [event.step for event in events.Scalars("gradwatch/loss")] == [*range(8)]


@both_namespaces
def test_the_weights_are_those_of_a_fit_without_it(namespace, monkeypatch):
    weights = []
    for value in ("", "1"):
        monkeypatch.setenv("GRADWATCH", value)
        fitted = module(namespace, network())
        assert len(watches(fit_of(namespace, fitted=fitted))) == bool(value)
        weights.append(fitted.state_dict())
    assert all(torch.equal(plain, weights[1][name]) for name, plain in weights[0].items())


@both_namespaces
@pytest.mark.parametrize("value", [None, "0", "nonsense"], ids=["not set", "off", "a wrong value"])
def test_without_it_no_trainer_has_more_callbacks(namespace, value, monkeypatch):
    monkeypatch.delenv("GRADWATCH", raising=False)
    if value is not None:
        monkeypatch.setenv("GRADWATCH", value)
    made = trainer(namespace)
    assert made.callbacks == []


# --- somebody's own watch is there: the environment's stands back --------------------------------------------------


class OwnWatch(GradWatch):
    """What a user made of it."""


def _in_trainer(namespace, watch, **options):
    return fit_of(namespace, [watch], **options)


def _in_module(namespace, watch, **options):
    return fit_of(namespace, fitted=module_with(namespace, lambda: watch), **options)


def _appended(namespace, watch, **options):
    made = trainer(namespace, **options)
    made.callbacks.append(watch)
    made.fit(module(namespace, network()), data())
    return made


# Whose own it is -> how it came there, and what it is.
OWN = {
    "beside your own in the Trainer": (_in_trainer, GradWatch),
    "beside your own in configure_callbacks": (_in_module, GradWatch),
    "beside one put into trainer.callbacks later": (_appended, GradWatch),
    "beside your subclass of GradWatch": (_in_trainer, OwnWatch),
}


@both_namespaces
@pytest.mark.parametrize(("fit", "kind"), OWN.values(), ids=OWN)
def test_own_watch(namespace, fit, kind, switched_on, tmp_path):
    watch = kind(every_n_steps=4)
    made = fit(namespace, watch, logger=tensorboard(namespace, tmp_path / "logs"))
    assert watches(made) == [watch]
    assert len(watch.report.frames) == 8
    events = EventAccumulator(str(tmp_path / "logs")).Reload()
    assert [event.step for event in events.Scalars("gradwatch/loss")] == [*range(8)], "each value is written once"
    made.fit_loop.max_epochs = 2
    made.fit(made.lightning_module, data())
    assert watches(made) == [watch], "also in the next fit"
    assert watch.report.frames[-1].step == 15


# --- packages that make Trainers of their own ----------------------------------------------------------------------


@both_namespaces
@pytest.mark.parametrize(
    "pass_on", [list, copy.deepcopy], ids=["callbacks passed to a second Trainer", "deep copies of them passed"]
)
def test_the_callbacks_of_one_trainer_go_into_the_next(namespace, pass_on, switched_on):
    waiting = trainer(namespace)
    begun = fit_of(namespace, pass_on(waiting.callbacks))
    again = fit_of(namespace, pass_on(begun.callbacks))
    for made in (begun, again):
        [watch] = watches(made)
        assert len(made.callbacks) == 1
        assert len(watch.report.frames) == 8


QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
QUIET |= {"accelerator": "cpu", "max_epochs": 1}


@both_namespaces
def test_one_list_of_callbacks_for_two_trainers(namespace, switched_on):
    """Lightning adds to the very list it is given, so that the second Trainer is given the first one's additions."""
    callbacks = [importlib.import_module(f"{namespace}.callbacks").Timer()]
    made = [importlib.import_module(namespace).Trainer(callbacks=callbacks, **QUIET) for _ in range(2)]
    for one in made:
        one.fit(module(namespace, network()), data())
    assert [len(watch.report.frames) for one in made for watch in watches(one)] == [8, 8]


@both_namespaces
def test_one_trainer_fits_twice_and_tests_between(namespace, switched_on):
    made, fitted, seen = trainer(namespace), module_with(namespace, list), set()
    for epochs in (1, 2):
        made.fit_loop.max_epochs = epochs
        made.fit(fitted, data())
        made.test(fitted, data(), verbose=False)
        [watch] = watches(made)
        assert watch.report.frames[-1].step == 8 * epochs - 1, "it goes on with its trainer"
        seen.add(watch)
    assert len(seen) == 1


@both_namespaces
def test_a_trainer_that_only_tests(namespace, switched_on):
    made = trainer(namespace)
    made.test(module_with(namespace, list), data(), verbose=False)
    assert watches(made) == []


@both_namespaces
def test_the_learning_rate_finder_beside_it(namespace, switched_on, capsys):
    finder = importlib.import_module(f"{namespace}.callbacks").LearningRateFinder(num_training_steps=5)
    fitted = module(namespace, network())
    fitted.lr = 1e-3
    made = fit_of(namespace, [finder], fitted)
    [watch] = watches(made)
    assert made.global_step > 0, "Lightning before 2.6 gives the finder's batches to the fit that follows"
    assert [frame.step for frame in watch.report.frames] == [*range(made.global_step)]


# --- checkpoints -----------------------------------------------------------------------------------------------------


@both_namespaces
@pytest.mark.parametrize("own", [False, True], ids=["resumed with it", "resumed with your own GradWatch"])
def test_resumed(namespace, own, switched_on, tmp_path):
    """The checkpoint holds the state of a plain ``GradWatch()``, whoever put it there."""
    fit_of(namespace).save_checkpoint(tmp_path / "last.ckpt")
    made = trainer(namespace, [GradWatch()] if own else [], max_epochs=2)
    made.fit(module(namespace, network()), data(), ckpt_path=tmp_path / "last.ckpt")
    [watch] = watches(made)
    assert [frame.step for frame in watch.report.frames][:9] == [*range(9)]
    [finding] = watch.report.findings
    assert finding.first_step < 8


@both_namespaces
@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`:UserWarning")
def test_resumed_without_it(namespace, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADWATCH", "1")
    fit_of(namespace).save_checkpoint(tmp_path / "last.ckpt")
    monkeypatch.setenv("GRADWATCH", "0")
    made = trainer(namespace, max_epochs=2)
    made.fit(module(namespace, network()), data(), ckpt_path=tmp_path / "last.ckpt")
    assert made.global_step == 16
