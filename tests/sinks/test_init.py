import warnings

import pytest

from lightning_gradwatch.sinks import open_sinks
from lightning_gradwatch.sinks.scalar_logger import ScalarLoggerSink
from lightning_gradwatch.sinks.tensorboard import TensorBoardSink
from tests.sinks.samples import CONFIG, anatomy


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def loggers(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what TensorBoard's own imports say is not ours
        pytest.importorskip("torch.utils.tensorboard")
        return pytest.importorskip(f"{request.param}.loggers")


def opened(*loggers):
    return [type(sink) for sink in open_sinks(loggers, anatomy(), CONFIG)]


def test_every_logger_gets_what_it_can_take(loggers, tmp_path):
    tensorboard, table = loggers.TensorBoardLogger(tmp_path), loggers.CSVLogger(tmp_path)
    assert opened(tensorboard, table) == [TensorBoardSink, ScalarLoggerSink]
    (sink,) = open_sinks([tensorboard], anatomy(), CONFIG)
    assert sink.writer is tensorboard.experiment  # the user's own: no second event file
    tensorboard.experiment.close()


def test_stand_ins_and_no_logger_get_nothing(loggers):
    dummy = loggers.logger.DummyLogger()
    assert hasattr(dummy.experiment, "add_scalar")  # it answers to everything
    assert opened() == []
    assert opened(dummy) == []


def test_ranks_above_zero_get_nothing(loggers, tmp_path, monkeypatch):
    from lightning_utilities.core import rank_zero

    monkeypatch.setattr(rank_zero.rank_zero_only, "rank", 1)
    module = loggers.tensorboard.__name__.partition(".")[0]
    fabric = pytest.importorskip("lightning.fabric" if module == "lightning" else "lightning_fabric")
    monkeypatch.setattr(fabric.loggers.logger.rank_zero_only, "rank", 1)
    assert opened(loggers.TensorBoardLogger(tmp_path), loggers.CSVLogger(tmp_path)) == []


class Plain:
    """A logger of the user's own."""

    def log_metrics(self, metrics, step):
        pass


class WriterInside(Plain):
    @property
    def experiment(self):
        class SummaryWriter:
            pass

        class Mine(SummaryWriter):
            pass

        return Mine()


@pytest.mark.parametrize(
    ("logger", "sinks"),
    [
        pytest.param(Plain(), [ScalarLoggerSink], id="log_metrics"),
        pytest.param(WriterInside(), [TensorBoardSink], id="a SummaryWriter of one's own"),
        pytest.param(object(), [], id="nothing to call"),
        pytest.param(None, [], id="none"),
    ],
)
def test_loggers_are_known_by_what_they_are(logger, sinks):
    assert opened(logger) == sinks


def test_opening_loads_neither_torch_nor_lightning(run_python):
    code = """
import sys
from lightning_gradwatch.sinks import open_sinks
print([name for name in ("torch", "lightning", "pytorch_lightning", "tensorboard") if name in sys.modules])
"""
    assert run_python(code).strip() == "[]"
