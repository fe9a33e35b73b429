"""Never the reason a fit dies."""

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, fit, module, network, trainer

STAGES = {
    "names": "lightning_gradwatch.callbacks.fit.parameter_names",
    "anatomy": "lightning_gradwatch.callbacks.watch.inspect_model",
    "graph walk": "lightning_gradwatch.measure.ledger.walk",
    "hook": "lightning_gradwatch.measure.ledger.joint_l2",
    "parameters": "lightning_gradwatch.measure.optimizers.gradient_statistics",
    "updates": "lightning_gradwatch.measure.optimizers.movement",
    "host copy": "lightning_gradwatch.measure.ranks.to_host",
    "detector": "lightning_gradwatch.detect.vanishing.flow_by_layer",
    "rule": "lightning_gradwatch.diagnose.panel.split",
    "sinks": "lightning_gradwatch.callbacks.watch.open_sinks",
    "text": "lightning_gradwatch.report.text.finding_block",
}


def boom(*args, **kwargs):
    raise ZeroDivisionError("injected")


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_an_error_of_ours_is_reported_once_and_the_fit_goes_on(stage, monkeypatch, caplog):
    plain = fit(GradWatch(verbose=False))
    monkeypatch.setattr(stage, boom)
    watch = GradWatch()
    fitted = fit(watch)
    assert watch.is_off
    [record] = [r for r in caplog.records if r.levelname == "ERROR"]
    assert "is switched off; the fit goes on" in record.message
    assert record.exc_info[0] is ZeroDivisionError
    assert "ZeroDivisionError: injected" in watch.report.notes[-1]
    assert all(torch.equal(a, b) for a, b in zip(fitted.parameters(), plain.parameters(), strict=True))


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_strict_raises(stage, monkeypatch):
    monkeypatch.setattr(stage, boom)
    with pytest.raises(ZeroDivisionError, match="injected"):
        fit(GradWatch(strict=True))


def raises(module, batch_idx):
    if batch_idx == 5:
        raise ValueError("the user's own")


def test_the_user_s_exception_is_the_one_that_comes_out(monkeypatch):
    watch = GradWatch(on_vanishing="decay_lr")
    monkeypatch.setattr("lightning_gradwatch.remedies.rate_scale.RateScale.detach", boom)
    with pytest.raises(ValueError, match="the user's own"):
        trainer(NAMESPACES[0], [watch]).fit(module(NAMESPACES[0], network(), on_step=raises), data())
