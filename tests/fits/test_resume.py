"""Interrupt and resume."""

import importlib
from pathlib import Path

import pytest
import torch

from lightning_gradwatch import GradWatch
from lightning_gradwatch.records.recording import read_lines
from lightning_gradwatch.sinks import SCALARS, event_files
from lightning_gradwatch.verify import casebook
from tests.callbacks.fits import NAMESPACES, network, trainer
from tests.fits.resuming import EPOCH, EPOCHS, MARKS, STEPS, Batches, Killed, scheduled
from tests.remedies.optimizers import Recorder

pl = importlib.import_module(NAMESPACES[0])
pytestmark = MARKS


class Saving(pl.callbacks.Checkpoint):
    """Saves after every batch, where ModelCheckpoint does: behind all other callbacks."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch * EPOCH + batch_idx + 1}.ckpt")


class Two(pl.LightningModule):
    """Manual optimisation with two optimizers, which steps every second batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization, self.net = False, network()

    def training_step(self, batch, batch_idx):
        loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.manual_backward(loss)
        if batch_idx % 2:
            for optimizer in self.optimizers():
                optimizer.step()
                optimizer.zero_grad()

    def configure_optimizers(self):
        self.recorder, other = Recorder(self.net[:10].parameters(), 0.05), Recorder(self.net[10:].parameters(), 0.02)
        return [self.recorder, other]


# How to build it, the trainer's options, and how many batches make a step.
KINDS = {
    "scheduled": (scheduled, {}, 1),
    "accumulated over 3 batches": (scheduled, {"accumulate_grad_batches": 3}, 3),
    "two optimizers by hand": (Two, {}, 2),
}


@pytest.fixture(scope="module", autouse=True)
def few_frames_carried():
    """As of a large network: what is judged may not depend on the frames that a checkpoint has no room for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(casebook, "_CARRIED", 100)
        yield


def run(folder, kind, ckpt=None, dies=None, save=None):
    """One fit, or what is left of it; all that must not depend on where it was interrupted."""
    build, options, _ = KINDS[kind]
    watch = GradWatch(
        every_n_steps=4, on_vanishing="decay_lr", cooldown_steps=12, record_to=str(folder / "run.jsonl"), strict=True
    )
    logger = pl.loggers.TensorBoardLogger(folder, name="", version="run")
    callbacks = [watch] + ([Saving(save)] if save else [])
    torch.manual_seed(5)
    fitted = build()
    if dies is not None:
        step, dying = fitted.training_step, iter(range(dies))

        def training_step(batch, batch_idx):
            if next(dying, None) is None:
                raise Killed
            return step(batch, batch_idx)

        fitted.training_step = training_step
    options = {"max_epochs": EPOCHS, "enable_checkpointing": bool(save)} | options
    runner = trainer(NAMESPACES[0], callbacks, logger, **options)
    try:
        runner.fit(fitted, Batches(), ckpt_path=ckpt)
    except Killed:
        assert dies is not None
    return watch.report, fitted


def series(folder):
    """tag -> step -> value of all curves of ours; of a step that was logged twice the later value, as TensorBoard."""
    curves = {tag: {} for tag in SCALARS}
    for path in sorted(Path(folder).rglob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime_ns):
        for step, value in event_files.values(path):
            if value.tag in curves:
                curves[value.tag][step] = repr(value.simple_value)  # nan is itself
    return {tag: dict(sorted(curve.items())) for tag, curve in curves.items()}


@pytest.fixture(scope="module", params=KINDS)
def straight(request, tmp_path_factory):
    """An uninterrupted fit with a checkpoint after each of its batches."""
    folder = tmp_path_factory.mktemp("straight")
    report, fitted = run(folder, request.param, save=folder)
    assert report.findings
    assert report.findings[0].causes
    assert [event.action for event in report.events].count("decay_lr") >= 1
    return request.param, folder, report, fitted


def check(straight, batch, beyond, tmp_path):
    """Killed some batches after the checkpoint, and resumed from it into the same files."""
    kind, folder, report, weights = straight
    run(tmp_path, kind, dies=batch + beyond)
    resumed, fitted = run(tmp_path, kind, ckpt=folder / f"{batch}.ckpt")
    if batch % EPOCH % KINDS[kind][2]:
        check_alike(resumed, report, tmp_path, folder)
        return
    assert resumed.findings == report.findings
    assert resumed.events == report.events
    assert resumed.notes == report.notes
    known = {frame.step: frame for frame in report.frames}
    assert all(frame == known[frame.step] for frame in resumed.frames)
    assert resumed.frames[-1].step == report.frames[-1].step
    assert fitted.recorder.seen == weights.recorder.seen[-len(fitted.recorder.seen) :]
    assert all(map(torch.equal, fitted.parameters(), weights.parameters()))
    assert series(tmp_path) == series(folder)
    left, right = read_lines(tmp_path / "run.jsonl"), read_lines(folder / "run.jsonl")
    assert left.frames == right.frames
    assert (left.findings, left.events, left.notes) == (right.findings, right.events, right.notes)


def check_alike(resumed, report, tmp_path, folder):
    """In the middle of a window Lightning forgets the gradients so far: the numbers of that one step are others."""
    assert [(one.kind, one.first_step, one.resolved) for one in resumed.findings] == [
        (one.kind, one.first_step, one.resolved) for one in report.findings
    ]
    assert [(one.action, one.step, one.old, one.new) for one in resumed.events] == [
        (one.action, one.step, one.old, one.new) for one in report.events
    ]
    ours, theirs = series(tmp_path), series(folder)
    assert {tag: list(curve) for tag, curve in ours.items()} == {tag: list(curve) for tag, curve in theirs.items()}
    assert [frame.step for frame in read_lines(tmp_path / "run.jsonl").frames] == [*theirs["gradwatch/loss"]]


SLICE = [(1, 0), (4, 4), (7, 2), (15, 9), (EPOCH, 3), (52, 0), (53, 0), (63, 4), (STEPS - 1, 0)]


@pytest.mark.parametrize(("batch", "beyond"), SLICE)
def test_resumed_it_is_the_uninterrupted_fit(straight, batch, beyond, tmp_path):
    check(straight, batch, beyond, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(1, STEPS))
def test_resumed_at_every_step_it_is_the_uninterrupted_fit(straight, batch, tmp_path):
    check(straight, batch, batch % 5, tmp_path)
