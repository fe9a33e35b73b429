"""Checkpoints, copies, several trainers, several watches."""

import copy
import importlib
import pickle

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


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A fit of 24 steps with a checkpoint after each of them, and its watch."""
    folder = tmp_path_factory.mktemp("checkpoints")
    pl = importlib.import_module(NAMESPACES[0])

    def run(ckpt=None):
        watch = GradWatch(every_n_steps=5, on_vanishing="decay_lr", cooldown_steps=8, strict=True)
        saving = pl.callbacks.ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)
        callbacks = [watch] if ckpt else [watch, saving]
        runner = trainer(NAMESPACES[0], callbacks, max_epochs=3, enable_checkpointing=ckpt is None)
        torch.manual_seed(5)
        fitted = module(NAMESPACES[0], network(), "SGD", rate=0.05)
        # One batch over and over: Lightning begins the epoch's data anew when it resumes in the middle.
        same = torch.utils.data.DataLoader([next(iter(data()))] * 8, batch_size=None)
        runner.fit(fitted, same, ckpt_path=ckpt)
        return watch, fitted

    return run, run(), folder


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`:UserWarning")  # no further checkpoints
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize("step", [1, 3, 4, 7, 8, 12, 16, 23])
def test_interrupted_at_any_step_the_resumed_fit_is_the_uninterrupted_one(interrupted, step):
    run, (straight, weights), folder = interrupted
    resumed, again = run(str(folder / f"step={step}.ckpt"))
    assert resumed.report.findings == straight.report.findings
    assert resumed.report.events == straight.report.events
    assert resumed.report.events
    ours, theirs = resumed.report.frames, straight.report.frames
    assert [frame.step for frame in ours] == [frame.step for frame in theirs]
    assert [frame.rate_scale for frame in ours] == [frame.rate_scale for frame in theirs]
    assert [frame.loss for frame in ours] == [frame.loss for frame in theirs]
    for one, other in zip(again.parameters(), weights.parameters(), strict=True):
        assert torch.equal(one, other)
