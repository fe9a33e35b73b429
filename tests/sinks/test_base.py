import inspect
from types import SimpleNamespace

import numpy as np
import pytest

import lightning_gradwatch.sinks
from lightning_gradwatch.sinks.base import Sink
from tests.sinks.samples import CONFIG, anatomy, bare, event, finding, frame

SINKS = [kind for name, kind in vars(lightning_gradwatch.sinks).items() if name.endswith("Sink") and kind is not Sink]


@pytest.fixture(params=SINKS, ids=lambda kind: kind.__name__)
def sink(request, tmp_path, summary_writer):
    """Every sink of the package on the real thing."""
    things = {
        "writer": summary_writer(str(tmp_path / "run")),
        "logger": SimpleNamespace(log_metrics=lambda metrics, step: None),
        "path": tmp_path / "run.jsonl",
        "anatomy": anatomy(),
        "config": CONFIG,
    }
    wanted = inspect.signature(request.param).parameters
    made = request.param(**{name: thing for name, thing in things.items() if name in wanted})
    yield made
    made.close()
    things["writer"].close()


def test_every_sink_is_one(sink):
    assert isinstance(sink, Sink)


def test_every_sink_has_a_name(sink):
    assert sink.name in ("TensorBoard", "SimpleNamespace", "run.jsonl") or sink.name.endswith("/run.jsonl")


def test_every_method_takes_what_the_protocol_says(sink):
    for name in ("write", "announce", "picture", "close"):
        wanted = list(inspect.signature(getattr(Sink, name)).parameters)[1:]
        assert list(inspect.signature(getattr(sink, name)).parameters) == wanted


def test_every_sink_takes_the_life_of_a_fit_and_a_second_close(sink):
    for made in (frame(0), bare(1), frame(2, skipped=True), frame(3, layers=2), frame(1)):
        sink.write(made, [finding(made.step)])
        sink.announce(made.step, [finding(made.step)], [event(made.step)], ["a note"])
        sink.announce(made.step, [], [], [])
    sink.picture(3, np.zeros((4, 4, 3), np.uint8))
    sink.close()
    sink.close()
