"""Where records go: TensorBoard, any Lightning logger, JSON lines; and how they are read again.  No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning_gradwatch.records import Anatomy
from lightning_gradwatch.records.recording import Recording
from lightning_gradwatch.sinks.base import Sink
from lightning_gradwatch.sinks.json_lines import JsonLinesSink
from lightning_gradwatch.sinks.packed import Packed, pack, unpack
from lightning_gradwatch.sinks.reading import read_recording, read_runs
from lightning_gradwatch.sinks.scalar_logger import ScalarLoggerSink
from lightning_gradwatch.sinks.scalars import SCALARS, scalars
from lightning_gradwatch.sinks.tensorboard import TensorBoardSink

__all__ = [
    "SCALARS",
    "JsonLinesSink",
    "Packed",
    "Recording",
    "ScalarLoggerSink",
    "Sink",
    "TensorBoardSink",
    "open_sinks",
    "pack",
    "read_recording",
    "read_runs",
    "scalars",
    "unpack",
]


def open_sinks(loggers: Sequence[Any], anatomy: Anatomy | None, config: Mapping[str, Any]) -> list[Sink]:
    """A sink for every logger that can take something; an empty list is fine.

    Recognises by class names, because the stand-ins that Lightning puts in place of loggers (``fast_dev_run``) and of
    their experiments (ranks above zero) answer to every attribute.

    Args:
        loggers: ``trainer.loggers``, or bare TensorBoard writers.
        anatomy: what is being watched.
        config: the watch's settings, plain values.
    """
    return list(_sinks(loggers, anatomy, config))


def _sinks(loggers: Sequence[Any], anatomy: Anatomy | None, config: Mapping[str, Any]) -> Iterator[Sink]:
    for logger in loggers:
        if _is(logger, "SummaryWriter"):
            yield TensorBoardSink(logger, anatomy, config)
            continue
        experiment = None if _is(logger, "DummyLogger") else getattr(logger, "experiment", None)
        if _is(logger, "DummyLogger") or _is(experiment, "_DummyExperiment", "DummyExperiment"):
            continue
        if _is(experiment, "SummaryWriter"):
            yield TensorBoardSink(experiment, anatomy, config)
        elif callable(getattr(logger, "log_metrics", None)):
            yield ScalarLoggerSink(logger)


def _is(thing: object, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(thing).__mro__)
