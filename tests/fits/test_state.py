"""Checkpoints, copies, several trainers, several watches."""

import copy
import importlib
import json
import pickle
from pathlib import Path

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, fit, module, network, trainer


@both_namespaces
def test_resumed_fit_finds_and_does_the_same(namespace, tmp_path):
    pl = importlib.import_module(namespace)

    def run(epochs, ckpt=None):
        watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", cooldown_steps=6, decay_factor=0.5)
        runner = trainer(namespace, [watch], max_epochs=epochs)
        runner.fit(module(namespace, network()), data(), ckpt_path=ckpt)
        path = tmp_path / f"{epochs}.ckpt"
        runner.save_checkpoint(path)
        return watch, path

    straight, _ = run(3)
    _, path = run(1)
    torch.load(path, weights_only=True)
    resumed, _ = run(3, path)
    assert resumed.report.findings == straight.report.findings
    assert resumed.report.events == straight.report.events
    assert resumed.report.frames[-1].rate_scale == straight.report.frames[-1].rate_scale
    assert pl  # both namespaces resume


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"format": 99, "gradwatch": "{}"},
        {"format": 1},
        {"format": 1, "gradwatch": "{"},
        {"format": 1, "gradwatch": "[]"},
    ],
    ids=["empty", "newer", "no record", "damaged", "foreign"],
)
def test_a_checkpoint_that_cannot_be_read_is_said_and_ignored(state):
    watch = GradWatch()
    watch.load_state_dict(state)
    assert "is ignored" in watch.report.notes[0]
    assert (state.get("format") == 1) != ("this version reads" in watch.report.notes[0])
    fit(watch)
    assert len(watch.report.findings) == 1


def test_copies_and_pickles_before_and_after_a_fit():
    watch = GradWatch(on_vanishing="decay_lr")
    fit(pickle.loads(pickle.dumps(copy.deepcopy(watch))))
    fit(watch)
    for again in (copy.deepcopy(watch), pickle.loads(pickle.dumps(watch))):
        assert again.report == watch.report
        fit(again)
        assert len(again.report.findings) == 1


def test_copy_in_the_middle_of_a_fit():
    copies = []
    watch = GradWatch(every_n_steps=1)
    fitted = module(NAMESPACES[0], network(), on_step=lambda m, i: copies.append(copy.deepcopy(watch)))
    trainer(NAMESPACES[0], [watch]).fit(fitted, data())
    assert [len(c.report.frames) for c in copies] == list(range(8))


@both_namespaces
def test_same_instance_in_a_second_trainer(namespace):
    watch = GradWatch()
    fit(watch, namespace, sick=True)
    fit(watch, namespace, sick=False)
    assert watch.report.findings == ()


def test_several_instances_side_by_side(tmp_path):
    watches = [GradWatch(every_n_steps=1), GradWatch(every_n_steps=3), GradWatch(name="mine")]
    runner = trainer(NAMESPACES[0], watches)
    runner.fit(module(NAMESPACES[0], network()), data())
    runner.save_checkpoint(tmp_path / "three.ckpt")
    assert [len(w.report.findings) for w in watches] == [1, 1, 1]
    assert len({w.state_key for w in watches}) == 3


# --- what a checkpoint holds -----------------------------------------------------------------------------------------


def test_everything_in_it_loads_with_weights_only(tmp_path):
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", record_to=str(tmp_path))  # a folder: that is noted
    runner = trainer(NAMESPACES[0], [watch])
    runner.fit(module(NAMESPACES[0], network()), data())
    runner.save_checkpoint(tmp_path / "all.ckpt")
    loaded = torch.load(tmp_path / "all.ckpt", weights_only=True)
    again = GradWatch()
    again.load_state_dict(loaded["callbacks"][watch.state_key])
    assert again.report.findings == watch.report.findings
    assert again.report.findings[0].remedies
    assert again.report.findings[0].causes
    assert again.report.events == watch.report.events != ()
    assert again.report.notes == watch.report.notes != ()


@pytest.mark.parametrize(("depth", "steps"), [(20, 140), (1000, 4)], ids=["many frames", "many layers"])
def test_a_state_stays_small(depth, steps):
    watch = GradWatch(every_n_steps=1)
    net = network(depth=depth, activation="relu", init="he")
    runner = trainer(NAMESPACES[0], [watch], max_epochs=-1, max_steps=steps)
    runner.fit(module(NAMESPACES[0], net, "SGD", rate=1e-6), data())
    assert len(watch.report.frames) >= min(steps, 64)
    assert len(watch.state_dict()["gradwatch"]) < 200_000


def test_a_state_of_the_first_format_is_gone_on_with(tmp_path):
    """Written by the version of 819bcd9 after 8 steps with one decay; two frames of it are kept here."""
    stored = json.loads((Path(__file__).parent / "data" / "state_format_1.json").read_text())
    path = tmp_path / "old.ckpt"
    runner = trainer(NAMESPACES[0])
    runner.fit(module(NAMESPACES[0], network()), data())
    runner.save_checkpoint(path)
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["callbacks"] = {stored["key"]: stored["state"]}
    torch.save(checkpoint, path)
    watch = GradWatch(every_n_steps=4)
    with pytest.warns(UserWarning, match="Be aware that when using `ckpt_path`"):  # its key was another one
        trainer(NAMESPACES[0], [watch], max_epochs=2).fit(module(NAMESPACES[0], network()), data(), ckpt_path=path)
    report = watch.report
    assert report.notes == ()
    assert [event.action for event in report.events] == ["decay_lr"]
    assert report.findings[0].first_step == 0
    assert report.findings[0].last_step == report.frames[-1].step == 15
    assert report.frames[-1].rate_scale == 0.5


# --- with and without, and otherwise ---------------------------------------------------------------------------------


def saved(tmp_path, *callbacks):
    runner = trainer(NAMESPACES[0], callbacks)
    runner.fit(module(NAMESPACES[0], network(), "SGD", rate=0.1), data())
    runner.save_checkpoint(tmp_path / "first.ckpt")
    return tmp_path / "first.ckpt"


def resumed(path, *callbacks):
    runner = trainer(NAMESPACES[0], callbacks, max_epochs=2)
    fitted = module(NAMESPACES[0], network(), "SGD", rate=0.1)
    runner.fit(fitted, data(), ckpt_path=path)
    assert runner.global_step == 16
    return fitted


def test_a_checkpoint_without_the_watch_resumes_with_it(tmp_path):
    watch = GradWatch(every_n_steps=1)
    resumed(saved(tmp_path), watch)
    assert [frame.step for frame in watch.report.frames] == list(range(8, 16))
    assert [finding.first_step for finding in watch.report.findings] == [8]
    assert watch.report.notes == ()


def test_a_checkpoint_with_the_watch_resumes_without_it(tmp_path):
    path = saved(tmp_path, GradWatch())
    with pytest.warns(UserWarning, match="Please add the following callbacks") as said:
        resumed(path)
    assert ["GradWatch" in str(warning.message) for warning in said if warning.category is UserWarning] == [True]


OTHERWISE = {
    "measured more rarely": {"every_n_steps": 3},
    "another policy": {"on_vanishing": "warn"},
    "another factor": {"decay_factor": 0.9},
}


@pytest.mark.parametrize("change", OTHERWISE.values(), ids=OTHERWISE.keys())
def test_other_settings_keep_what_was_found_and_done(change, tmp_path):
    """Not a word about callbacks that are missing either: warnings are errors here."""
    options = {"every_n_steps": 1, "on_vanishing": "decay_lr", "max_decays": 1}
    before, after = GradWatch(**options), GradWatch(**options | change)
    path = saved(tmp_path, before)
    resumed(path, after)
    assert after.report.events == before.report.events != ()
    assert [finding.first_step for finding in after.report.findings] == [0]
    assert after.report.frames[-1].rates == pytest.approx((0.05,))  # decayed still, whatever the policy is now


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`:UserWarning")
def test_a_watch_that_was_renamed_keeps_what_was_found(tmp_path):
    after = GradWatch(name="new")
    resumed(saved(tmp_path, GradWatch(name="old")), after)
    assert [finding.first_step for finding in after.report.findings] == [0]


def test_several_watches_find_their_own_state(tmp_path):
    def watches():
        return [GradWatch(every_n_steps=1), GradWatch(every_n_steps=3), GradWatch(name="mine", every_n_steps=50)]

    before = watches()
    path = saved(tmp_path, *before)
    after = watches()
    resumed(path, *after)
    for one, other in zip(before, after, strict=True):
        then = [frame.step for frame in one.report.frames]
        assert [frame.step for frame in other.report.frames][: len(then)] == then


# --- again -----------------------------------------------------------------------------------------------------------


def test_a_second_fit_of_the_same_trainer_goes_on():
    """Lightning counts on, so the watch does: nothing that was found is lost, also where nothing is left to train."""
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", max_decays=1)
    runner, fitted = trainer(NAMESPACES[0], [watch]), module(NAMESPACES[0], network(), "SGD", rate=0.1)
    runner.fit(fitted, data())
    first = watch.report
    runner.fit(fitted, data())  # max_epochs is reached
    assert watch.report == first
    runner.fit_loop.max_epochs = 2
    runner.fit(fitted, data())
    assert [frame.step for frame in watch.report.frames] == list(range(16))
    assert watch.report.events == first.events
    assert watch.report.frames[-1].rates == pytest.approx((0.05,))
    assert [finding.first_step for finding in watch.report.findings] == [0]


def test_another_module_in_the_same_trainer_begins_anew():
    watch = GradWatch(every_n_steps=1)
    runner = trainer(NAMESPACES[0], [watch])
    runner.fit(module(NAMESPACES[0], network()), data())
    runner.fit_loop.max_epochs = 2
    runner.fit(module(NAMESPACES[0], network(False)), data())
    assert watch.report.findings == ()
    assert len(watch.report.frames) == 8


def test_a_second_fit_from_a_checkpoint_knows_what_the_checkpoint_knows(tmp_path):
    watch = GradWatch(every_n_steps=1)
    runner, fitted = trainer(NAMESPACES[0], [watch]), module(NAMESPACES[0], network(), "SGD", rate=0.1)
    runner.fit(fitted, data())
    runner.fit_loop.max_epochs = 2
    runner.fit(fitted, data(), ckpt_path=saved(tmp_path))
    assert [frame.step for frame in watch.report.frames] == list(range(8, 16))


def test_a_copy_in_a_second_trainer_begins_anew():
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr")
    fit(watch)
    before = watch.report
    other = copy.deepcopy(watch)
    fit(other, sick=False)
    assert other.report.findings == ()
    assert {frame.rate_scale for frame in other.report.frames} == {1.0}
    assert watch.report == before
