"""Errors of the watch itself: the fit goes on bit for bit."""

import re

import pytest

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, module, network, trainer
from tests.fits.faults import Arms, Injected, broken, differing, run, said
from tests.remedies.optimizers import Recorder

# What breaks -> (where, from which batch on, what the watch was asked for).  A fault stays once it is there.
FAULTS = {
    "anatomy": ("callbacks.watch.inspect_model", 0, {}),
    "parameter names": ("callbacks.fit.parameter_names", 0, {}),
    "parameter names, later": ("callbacks.fit.parameter_names", 5, {}),
    "step number": ("_lightning.step_of", 0, {}),
    "step number, later": ("_lightning.step_of", 5, {}),
    "schedule": ("measure.schedule.Schedule.due", 0, {}),
    "schedule, later": ("measure.schedule.Schedule.due", 5, {}),
    "graph walk": ("measure.step.walk", 0, {}),
    "graph walk, later": ("measure.step.walk", 5, {}),
    "ledger's hook": ("measure.ledger.joint_l2", 0, {}),
    "ledger's hook, later": ("measure.ledger.joint_l2", 5, {}),
    "copy to the host": ("measure.ranks.to_host", 0, {}),
    "copy to the host, later": ("measure.ranks.to_host", 5, {}),
    "parameter meter": ("measure.optimizers.gradient_statistics", 0, {}),
    "parameter meter, later": ("measure.optimizers.gradient_statistics", 5, {}),
    "update meter": ("measure.optimizers.movement", 0, {}),
    "update meter, later": ("measure.optimizers.movement", 5, {}),
    "detector": ("detect.vanishing.flow_by_layer", 0, {}),
    "detector, later": ("detect.vanishing.flow_by_layer", 5, {}),
    "rule of a cause": ("diagnose.panel.gather", 0, {}),
    "remedy": ("verify.casebook.prescribe", 0, {}),
    "words of a finding": ("report.text.finding_block", 0, {}),
    "last line": ("report.text.closing_line", 0, {}),
    "policy": ("callbacks.policy.Policy.action", 0, {"on_vanishing": "stop"}),
    "checkpoint's state": ("verify.casebook.Casebook.state", 0, {}),
    "checkpoint's state, later": ("verify.casebook.Casebook.state", 5, {}),
    "cleaning up": ("remedies.rate_scale.RateScale.detach", 0, {}),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return run(None, folder=tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_watch_fails_and_the_fit_goes_on(fault, undisturbed, monkeypatch, caplog, tmp_path):
    target, batch, options = fault
    arms = Arms(monkeypatch, target, batch)
    watch = GradWatch(every_n_steps=1, **options)
    made = run(watch, arms, folder=tmp_path)
    assert differing(made, undisturbed) == []
    assert arms.hits
    assert watch.is_off
    [record] = said(caplog)
    assert record.exc_info[0] is Injected
    assert [note for note in watch.report.notes if "Injected: injected" in note] == [watch.report.notes[-1]]
    assert re.match(r"the watch failed in [a-z_ ]+ and switched itself off: ", watch.report.notes[-1])
    assert len(watch.report.frames) >= batch  # what there was until then is kept


@pytest.mark.parametrize(("target", "batch", "options"), FAULTS.values(), ids=FAULTS.keys())
def test_strict_raises_it(target, batch, options, monkeypatch, tmp_path):
    with pytest.raises(Injected, match="injected"):
        run(GradWatch(every_n_steps=1, strict=True, **options), Arms(monkeypatch, target, batch), folder=tmp_path)


# --- checkpoints and learning rates -----------------------------------------------------------------------------------


def test_an_error_while_a_state_is_loaded(monkeypatch, caplog, tmp_path):
    first = GradWatch(every_n_steps=1)
    run(first, folder=tmp_path)
    state = first.state_dict()
    broken(monkeypatch, "verify.casebook.Casebook.restore")
    with pytest.raises(Injected):
        GradWatch(strict=True).load_state_dict(state)
    watch = GradWatch()
    watch.load_state_dict(state)
    assert watch.report.notes == ("what the checkpoint says of an earlier watch is ignored: injected",)
    assert watch.report.frames == ()
    assert [record.exc_info[0] for record in said(caplog)] == [Injected]


def test_a_watch_that_fails_leaves_the_rates_as_it_had_scaled_them(monkeypatch, tmp_path):
    """As on the ranks whose watch goes on: and no decay comes after, for nobody judges any more."""
    arms = Arms(monkeypatch, "measure.step.walk", 5)
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", decay_factor=0.5, cooldown_steps=0, min_lr=0)
    fitted = module(NAMESPACES[0], network())
    optimizer = Recorder(fitted.parameters(), lr=0.1)
    fitted.configure_optimizers = lambda: optimizer
    runner = trainer(NAMESPACES[0], [arms, watch])
    runner.fit(fitted, data())
    assert watch.is_off
    decays = [event.step for event in watch.report.events]
    assert decays == [2, 3, 4]
    assert [rate for (rate,) in optimizer.seen] == [0.1] * 3 + [0.05, 0.025] + [0.0125] * 3
    assert runner.optimizers[0].param_groups[0]["lr"] == 0.1


def test_a_checkpoint_without_findings_still_holds_the_rates(monkeypatch, caplog):
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", decay_factor=0.5, max_decays=1)
    trainer(NAMESPACES[0], [watch]).fit(module(NAMESPACES[0], network()), data())
    broken(monkeypatch, "verify.casebook.Casebook.state")
    state = watch.state_dict()
    assert [record.exc_info[0] for record in said(caplog)] == [Injected]
    resumed = GradWatch(on_vanishing="decay_lr")
    resumed.load_state_dict(state)
    assert resumed._watch.actor.rates.factor == 0.5
    assert [note.startswith("the watch had failed when the checkpoint was written") for note in resumed.report.notes]
