"""Event files to read, written by the real writer."""

import warnings

import pytest

from lightning_gradwatch.sinks.tensorboard import TensorBoardSink
from tests.sinks.samples import CONFIG, anatomy


@pytest.fixture(scope="session")
def summary_writer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what TensorBoard's own imports say is not ours
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter


@pytest.fixture
def log(tmp_path, summary_writer):
    """Writes a run: frames, then one announcement, beside a curve of the user's."""

    def write(run, *frames, told=None, suffix=""):
        writer = summary_writer(str(tmp_path / run), filename_suffix=suffix)
        sink = TensorBoardSink(writer, anatomy(), CONFIG)
        for made in frames:
            writer.add_scalar("train_loss", made.step, made.step)
            sink.write(made, [])
        if told:
            sink.announce(told.step, told.findings, told.events, told.notes)
        writer.close()
        return tmp_path / run

    return write
