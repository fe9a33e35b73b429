"""Loggers and files that cannot be written to, a full disk among them: the fit and the watch go on without them."""

import errno
import threading

import pytest

from lightning_gradwatch import GradWatch
from tests.fits.faults import Injected, broken, differing, pl, run, said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return run(None, folder=tmp_path_factory.mktemp("plain"))


class OwnLogger(pl.loggers.logger.Logger):
    """A user's logger that knows its own keys only."""

    name, version = "own", 0

    def log_hyperparams(self, params, *args, **kwargs):
        pass

    def log_metrics(self, metrics, step=None):
        if any(key.startswith("gradwatch/") for key in metrics) and step >= self.since:
            raise Injected("unknown key")


def own_logger(since, folder):
    logger = OwnLogger()
    logger.since = since
    return logger, {}, []


class Disk(pl.Callback):
    """A disk that is full from one batch on, until there is room again before the fit ends.

    Met by the watch alone: where TensorBoard's own thread or Lightning's logging meets it, the fit ends, whether there
    is a watch or not.
    """

    def __init__(self, since):
        self.since = since

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == self.since:
            self.writer, self.flush = self._record_writer(trainer), self._record_writer(trainer).flush
            self.writer.flush = self.full
        if batch_idx == 7:
            self.writer.flush = self.flush

    def _record_writer(self, trainer):
        return trainer.logger.experiment._get_file_writer().event_writer._async_writer._writer

    def full(self):
        if threading.current_thread() is threading.main_thread():
            raise OSError(errno.ENOSPC, "No space left on device")
        self.flush()


def tensorboard(since, folder):
    return pl.loggers.TensorBoardLogger(folder), {}, [Disk(since)]


class Fills(pl.Callback):
    """Puts the recording on a disk that is full: Linux has one for tests."""

    def __init__(self, since):
        self.since = since

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == self.since:
            [watch] = [callback for callback in trainer.callbacks if isinstance(callback, GradWatch)]
            [sink] = watch._watch.teller.sinks
            sink._file.close()
            sink._file = open("/dev/full", "a")  # noqa: SIM115 (the sink closes it)


def recording(since, folder):
    return False, {"record_to": str(folder / "run.jsonl")}, [Fills(since)]


SINKS = {
    "a logger": (own_logger, "OwnLogger", "Injected: unknown key"),
    "TensorBoard on a full disk": (tensorboard, "TensorBoard", "OSError: [Errno 28] No space left on device"),
    "a recording on a full disk": (recording, "run.jsonl", "OSError: [Errno 28] No space left on device"),
}


@pytest.mark.parametrize("since", [0, 2])
@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS.keys())
def test_what_cannot_be_written_to_is_lost_alone(sink, since, undisturbed, caplog, tmp_path):
    make, name, reason = sink
    logger, options, callbacks = make(since, tmp_path)
    watch = GradWatch(every_n_steps=1, picture_every_n_steps=0, **options)
    made = run(watch, *callbacks, logger=logger, folder=tmp_path)
    assert differing(made, undisturbed) == []
    assert not watch.is_off
    assert len(watch.report.frames) == 8
    assert [finding.kind for finding in watch.report.findings] == ["vanishing"]
    [record] = said(caplog)
    [note] = watch.report.notes
    assert record.message == f"GradWatch: {note}"
    assert note.startswith("nothing more is written to ")
    assert note.endswith(f"{name}: {reason}")


@pytest.mark.parametrize(("make", "name", "reason"), SINKS.values(), ids=SINKS.keys())
def test_strict_raises_what_cannot_be_written(make, name, reason, tmp_path):
    logger, options, callbacks = make(1, tmp_path)
    with pytest.raises((OSError, Injected), match=r"No space left|unknown key"):
        run(GradWatch(every_n_steps=1, strict=True, **options), *callbacks, logger=logger, folder=tmp_path)


PARTS = {
    "a picture": ("report.figures.flow_image", "no more pictures are drawn: Injected: injected"),
    "closing a sink": ("sinks.tensorboard.TensorBoardSink.close", "nothing more is written to TensorBoard: Injected"),
    "opening a sink": ("callbacks.telling.open_sinks", "nothing more is written to TensorBoardLogger: Injected"),
}


@pytest.mark.parametrize(("target", "note"), PARTS.values(), ids=PARTS.keys())
def test_a_part_fails_and_the_rest_goes_on(target, note, monkeypatch, caplog, tmp_path):
    undisturbed = run(None, logger=pl.loggers.TensorBoardLogger(tmp_path), folder=tmp_path / "plain")
    broken(monkeypatch, target)
    watch = GradWatch(every_n_steps=1)
    made = run(watch, logger=pl.loggers.TensorBoardLogger(tmp_path), folder=tmp_path / "watched")
    assert differing(made, undisturbed) == []
    assert not watch.is_off
    assert len(watch.report.frames) == 8
    assert len(said(caplog)) == 1
    assert [one.startswith(note) for one in watch.report.notes] == [True]


@pytest.mark.parametrize(("target", "note"), PARTS.values(), ids=PARTS.keys())
def test_strict_raises_what_fails_in_a_part(target, note, monkeypatch, tmp_path):
    broken(monkeypatch, target)
    with pytest.raises(Injected):
        run(GradWatch(1, strict=True), logger=pl.loggers.TensorBoardLogger(tmp_path), folder=tmp_path)
