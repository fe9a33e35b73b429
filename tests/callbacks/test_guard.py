"""Never the reason a fit dies."""

import pytest
import torch

from lightning_gradwatch import GradWatch
from lightning_gradwatch.callbacks.guard import guarded, sheltered
from tests.callbacks.fits import NAMESPACES, data, fit, module, network, trainer

STAGES = {
    "names": "lightning_gradwatch.callbacks.fit.parameter_names",
    "anatomy": "lightning_gradwatch.callbacks.watch.inspect_model",
    "graph walk": "lightning_gradwatch.measure.step.walk",
    "hook": "lightning_gradwatch.measure.ledger.joint_l2",
    "parameters": "lightning_gradwatch.measure.optimizers.gradient_statistics",
    "updates": "lightning_gradwatch.measure.optimizers.movement",
    "host copy": "lightning_gradwatch.measure.ranks.to_host",
    "detector": "lightning_gradwatch.detect.vanishing.flow_by_layer",
    "rule": "lightning_gradwatch.diagnose.evidence.split",
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


class Two:
    """What guard needs of a watch, and one step of each kind."""

    strict = is_off = False

    def __init__(self):
        self.done, self.said = [], []

    def _switch_off(self, stage, error):
        self.is_off = True
        self.said.append((stage, str(error)))

    @guarded
    def alone(self):
        self.done.append("alone")
        raise ValueError("mine")

    @sheltered
    def _together(self):
        self.done.append("together")


def test_what_all_ranks_do_is_done_by_a_watch_that_is_off_too():
    two = Two()
    for step in (two.alone, two._together, two.alone, two._together):
        step()
    assert two.done == ["alone", "together", "together"]
    assert two.said == [("alone", "mine")]
