import csv
import math

import numpy as np
import pytest

from lightning_gradwatch.sinks.scalar_logger import ScalarLoggerSink
from lightning_gradwatch.sinks.scalars import SCALARS, scalars
from tests.sinks.samples import bare, finding, frame


@pytest.fixture(params=["lightning.pytorch.loggers", "pytorch_lightning.loggers"])
def logger(request, tmp_path):
    return pytest.importorskip(request.param).CSVLogger(tmp_path, name="", version="")


def table(logger):
    logger.save()
    with open(logger.experiment.metrics_file_path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_columns_from_the_first_row_on(logger, tmp_path):
    sink = ScalarLoggerSink(logger)
    frames = [bare(0), frame(50, layers=500), frame(100, skipped=True)]
    for made in frames:
        sink.write(made, [finding()])
        logger.save()  # a key that came late would rewrite the file
    sink.close()
    rows = table(logger)
    assert [int(row.pop("step")) for row in rows] == [0, 50, 100]
    for row, made in zip(rows, frames, strict=True):
        assert set(row) == set(SCALARS)
        assert {key: float(value) for key, value in row.items()} == pytest.approx(
            scalars(made, [finding()]), nan_ok=True
        )
    assert math.isnan(float(rows[0]["gradwatch/loss"]))


def test_words_and_pictures_stay_out_of_a_logger(logger):
    sink = ScalarLoggerSink(logger)
    sink.announce(0, [finding()], [], ["a note"])
    sink.picture(0, np.zeros((2, 2, 3), np.uint8))
    sink.write(bare(), [])
    assert [set(row) for row in table(logger)] == [{"step", *SCALARS}]
