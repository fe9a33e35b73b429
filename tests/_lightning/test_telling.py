"""Telling: what may be monitored, said and reported."""

import logging

from lightning_gradwatch import _lightning
from tests.callbacks.fits import both_namespaces, data, module, network, trainer


def test_versions_name_what_was_running():
    assert {"torch", "pytorch-lightning"} <= set(_lightning.versions())


@both_namespaces
def test_what_is_published_can_be_monitored_and_no_logger_hears_of_it(namespace):
    fitted = module(
        namespace, network(), on_step=lambda own, at: _lightning.publish(own.trainer, {"gradwatch/x": float(at)})
    )
    runner = trainer(namespace)
    runner.fit(fitted, data(batches=3))
    assert runner.callback_metrics["gradwatch/x"] == 2
    assert "gradwatch/x" not in runner.logged_metrics


def test_only_the_first_rank_speaks(monkeypatch, caplog):
    with caplog.at_level(logging.INFO, "lightning_gradwatch"):
        _lightning.say("has done it")
        _lightning.say("could not do it", warns=True)
        monkeypatch.setattr("lightning_gradwatch._lightning.telling.is_rank_zero", lambda: False)
        _lightning.say("has done it too")
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("INFO", "GradWatch has done it"),
        ("WARNING", "GradWatch could not do it"),
    ]
