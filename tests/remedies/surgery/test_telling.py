"""A bar where the trainer has one, curves for its loggers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lightning_gradwatch.remedies.surgery.telling import Telling


class Logger:
    """Fails at its second curve, if it is to."""

    def __init__(self, fails=False):
        self.fails, self.got = fails, []

    def log_metrics(self, metrics, step):
        if self.fails and self.got:
            raise OSError("disk full")
        self.got.append((step, metrics))


def trainer(*loggers, bar=False):
    return SimpleNamespace(
        loggers=list(loggers), log_every_n_steps=1, progress_bar_callback=SimpleNamespace(is_enabled=bar)
    )


def test_a_logger_that_fails_is_told_once_and_left_alone(caplog):
    good, bad = Logger(), Logger(fails=True)
    with Telling(trainer(good, bad), "Pretraining", "p/") as tell:
        for step in range(4):
            tell("a", step, lambda: 1.0)
    assert [step for step, _ in good.got] == [0, 1, 2, 3]
    assert good.got[0][1] == {"p/a": 1.0}
    assert len(bad.got) == 1
    assert caplog.text.count("Logger gets no curves of the pretraining") == 1


@pytest.mark.parametrize("bar", [False, True])
def test_a_bar_where_the_trainer_has_one(bar, capfd):
    with Telling(trainer(bar=bar), "Pretraining", "p/") as tell:
        tell("layer", 0, lambda: pytest.fail("nobody reads it"))
    assert ("Pretraining layer" in capfd.readouterr().err) is bar
