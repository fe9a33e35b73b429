"""What a user of Lightning sees of GradWatch, in both packages."""

import copy
import csv
import gc
import importlib
import pickle
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch, WrongArgument
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, fit, module, network, trainer
from tests.remedies.optimizers import Recorder


@both_namespaces
def test_is_a_callback_of_both(namespace):
    assert isinstance(GradWatch(), importlib.import_module(namespace).Callback)


@both_namespaces
def test_names_a_vanishing_gradient(namespace):
    watch = GradWatch(strict=True)
    fit(watch, namespace)
    [finding] = watch.report.findings
    assert (finding.kind, finding.first_step, finding.resolved) == ("vanishing", 0, False)
    assert finding.layers[0] == "net.0"
    assert finding.causes[0].kind == "activation"
    assert finding.remedies[0].name == "ReplaceActivation"


@both_namespaces
def test_healthy_fit_has_no_finding(namespace):
    watch = GradWatch(strict=True)
    fit(watch, namespace, sick=False)
    assert watch.report.findings == ()
    assert len(watch.report.frames) == 8


def test_layers_are_names_of_modules():
    watch = GradWatch()
    fitted = fit(watch)
    names = dict(fitted.named_modules())
    assert all(layer in names for layer in watch.report.findings[0].layers)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("every", [1, 50])
def test_weights_are_bit_for_bit_the_same(optimizer, every):
    def trained(callbacks):
        fitted = module(NAMESPACES[0], network(), optimizer)
        torch.manual_seed(7)
        trainer(NAMESPACES[0], callbacks, max_epochs=2).fit(fitted, data())
        return [*fitted.parameters()], torch.get_rng_state()

    watched, rng = trained([GradWatch(every_n_steps=every, strict=True)])
    plain, plain_rng = trained([])
    assert all(torch.equal(a, b) for a, b in zip(watched, plain, strict=True))
    assert torch.equal(rng, plain_rng)


def ends_normally(module, batch_idx):
    pass


def raises(module, batch_idx):
    if batch_idx == 5:
        raise ValueError("the user's own")


def interrupts(module, batch_idx):
    if batch_idx == 5:
        raise KeyboardInterrupt


@pytest.mark.parametrize("on_vanishing", ["warn", "decay_lr"])
@pytest.mark.parametrize(
    ("on_step", "expected"),
    [(ends_normally, None), (raises, ValueError), (interrupts, SystemExit)],
    ids=["end", "exception", "Ctrl-C"],
)
def test_nothing_stays_behind(on_step, expected, on_vanishing):
    watch = GradWatch(every_n_steps=1, on_vanishing=on_vanishing, cooldown_steps=0, max_decays=1)
    fitted = module(NAMESPACES[0], network(), on_step=on_step)
    runner = trainer(NAMESPACES[0], [watch])
    if expected is None:
        runner.fit(fitted, data())
    else:
        with pytest.raises(expected):
            runner.fit(fitted, data())
    for one in fitted.modules():
        hooks = (one._forward_hooks, one._forward_pre_hooks, one._backward_hooks, one._backward_pre_hooks)
        assert not any(hooks)
    for parameter in fitted.parameters():
        assert not parameter._backward_hooks
        assert not parameter._post_accumulate_grad_hooks
    for optimizer in runner.optimizers:
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        assert [group["lr"] for group in optimizer.param_groups] == [1e-3]
    assert len(watch.report.frames) >= 5  # what was recorded is kept
    dead = weakref.ref(fitted)
    del fitted, runner, optimizer, parameter, one, hooks
    gc.collect()
    assert dead() is None


def test_a_loss_that_the_user_keeps_is_not_hooked():
    kept = []
    fitted = module(NAMESPACES[0], network())
    original = fitted.training_step
    fitted.training_step = lambda batch, batch_idx: kept.append(original(batch, batch_idx)) or kept[-1]
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch], max_steps=4).fit(fitted, data())
    assert len({frame.ledgers[0].end for frame in watch.report.frames}) == 4


STAGES = {
    "names": "lightning_gradwatch.callbacks.fit.parameter_names",
    "anatomy": "lightning_gradwatch.callbacks.gradwatch.inspect_model",
    "graph walk": "lightning_gradwatch.measure.ledger.walk",
    "hook": "lightning_gradwatch.measure.ledger.joint_l2",
    "parameters": "lightning_gradwatch.measure.step.gradient_statistics",
    "updates": "lightning_gradwatch.measure.step.update_ratio",
    "host copy": "lightning_gradwatch.measure.step.to_host",
    "detector": "lightning_gradwatch.detect.vanishing.flow_by_layer",
    "rule": "lightning_gradwatch.diagnose.panel.split",
    "sinks": "lightning_gradwatch.callbacks.gradwatch.open_sinks",
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


def test_the_user_s_exception_is_the_one_that_comes_out(monkeypatch):
    watch = GradWatch(on_vanishing="decay_lr")
    monkeypatch.setattr("lightning_gradwatch.remedies.rate_scale.RateScale.detach", boom)
    with pytest.raises(ValueError, match="the user's own"):
        trainer(NAMESPACES[0], [watch]).fit(module(NAMESPACES[0], network(), on_step=raises), data())


WRONG = {
    "every_n_steps": (0, "a whole number of at least 1"),
    "on_vanishing": ("pray", "one of the words below"),
    "decay_factor": (1.0, "a number above 0 and below 1"),
    "min_lr": (-1.0, "a finite number of at least 0"),
    "cooldown_steps": (-1, "a whole number of at least 0"),
    "max_decays": (0, "a whole number of at least 1"),
    "picture_every_n_steps": (2.5, "a whole number of at least 0"),
    "verbose": ("yes", "True or False"),
    "strict": (None, "True or False"),
    "name": ("", "a text that is not empty"),
}


@pytest.mark.parametrize(("argument", "value", "rule"), [(k, *v) for k, v in WRONG.items()], ids=WRONG.keys())
def test_wrong_arguments_raise_at_construction(argument, value, rule):
    with pytest.raises(WrongArgument, match=rf"`{argument}` must be {rule}, got {value!r}"):
        GradWatch(**{argument: value})


def test_decay_lr_scales_records_and_restores():
    watch = GradWatch(
        every_n_steps=1, on_vanishing="decay_lr", decay_factor=0.1, cooldown_steps=3, max_decays=2, min_lr=0
    )
    fitted = module(NAMESPACES[0], network(), "SGD", rate=0.1)
    runner = trainer(NAMESPACES[0], [watch], max_epochs=2)
    runner.fit(fitted, data())
    events = watch.report.events
    assert [(e.action, e.step) for e in events] == [("decay_lr", 2), ("decay_lr", 5)]
    assert [(e.old, e.new) for e in events] == [
        (pytest.approx((0.1,)), pytest.approx((0.01,))),
        (pytest.approx((0.01,)), pytest.approx((0.001,))),
    ]
    assert events[0].finding == "vanishing:loss"
    assert [frame.rate_scale for frame in watch.report.frames][:7] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])
    assert runner.optimizers[0].param_groups[0]["lr"] == 0.1  # the fit is over: clean again


SCHEDULERS = {
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.2, total_steps=40),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5, eta_min=0.01),
    "ReduceLROnPlateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=1),
}


@pytest.mark.parametrize("build", SCHEDULERS.values(), ids=SCHEDULERS.keys())
def test_decay_sticks_under_schedulers(build):
    def stepped(callbacks):
        fitted = module(NAMESPACES[0], network(), rate=0.1)
        optimizer = Recorder(fitted.parameters(), lr=0.1)
        scheduler = {"scheduler": build(optimizer), "interval": "step", "monitor": "train_loss"}
        fitted.configure_optimizers = lambda: {"optimizer": optimizer, "lr_scheduler": scheduler}
        trainer(NAMESPACES[0], callbacks, max_epochs=2).fit(fitted, data())
        return [rate for (rate,) in optimizer.seen]

    plain = stepped([])
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", decay_factor=0.1, max_decays=1, min_lr=0)
    decayed = stepped([watch])
    assert decayed[:3] == plain[:3]
    assert decayed[3:] == pytest.approx([0.1 * rate for rate in plain[3:]])


def test_min_lr_is_a_floor():
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", decay_factor=0.1, cooldown_steps=0, min_lr=5e-4)
    fit(watch)
    assert [(e.old, e.new) for e in watch.report.events] == [((1e-3,), (5e-4,))]


def test_stop_ends_the_fit():
    watch = GradWatch(on_vanishing="stop")
    runner = trainer(NAMESPACES[0], [watch])
    runner.fit(module(NAMESPACES[0], network()), data())
    assert runner.global_step == 3
    assert [e.action for e in watch.report.events] == ["stop"]


@pytest.mark.parametrize("choice", ["warn", "ignore"])
def test_others_do_nothing(choice, caplog):
    watch = GradWatch(on_vanishing=choice)
    fit(watch)
    assert watch.report.events == ()
    assert len(watch.report.findings) == 1
    assert any("VANISHING gradient" in r.message and "why" in r.message for r in caplog.records) is (choice == "warn")


def test_console_block_and_closing_line(caplog):
    fit(GradWatch())
    block, closing = [r.message for r in caplog.records if r.name == "lightning_gradwatch"]
    assert all(word in block for word in ("VANISHING", "net.0", "step 0", "GW101", "Sigmoid", "try"))
    assert len(closing.splitlines()) == 1


def test_verbose_false_is_silent(caplog):
    fit(GradWatch(verbose=False))
    assert [r for r in caplog.records if r.name == "lightning_gradwatch"] == []


def test_other_ranks_are_silent(caplog, monkeypatch):
    watch = GradWatch()
    runner = trainer(NAMESPACES[0], [watch], logger=True)
    monkeypatch.setattr(type(runner), "is_global_zero", False)
    runner.fit(module(NAMESPACES[0], network()), data())
    assert [r for r in caplog.records if r.name == "lightning_gradwatch"] == []
    assert len(watch.report.findings) == 1


@both_namespaces
def test_resumed_fit_finds_and_does_the_same(namespace, tmp_path):
    pl = importlib.import_module(namespace)

    def run(epochs, ckpt=None):
        watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", cooldown_steps=6, decay_factor=0.5)
        runner = trainer(namespace, [watch], max_epochs=epochs)
        runner.fit(module(namespace, network()), data(), ckpt_path=ckpt)
        path = tmp_path / f"{epochs}.ckpt"
        runner.save_checkpoint(path)
        return watch, path

    straight, _ = run(3)
    _, path = run(1)
    torch.load(path, weights_only=True)
    resumed, _ = run(3, path)
    assert resumed.report.findings == straight.report.findings
    assert resumed.report.events == straight.report.events
    assert resumed.report.frames[-1].rate_scale == straight.report.frames[-1].rate_scale
    assert pl  # both namespaces resume


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"format": 99, "gradwatch": "{}"},
        {"format": 1},
        {"format": 1, "gradwatch": "{"},
        {"format": 1, "gradwatch": "[]"},
    ],
    ids=["empty", "newer", "no record", "damaged", "foreign"],
)
def test_a_checkpoint_that_cannot_be_read_is_said_and_ignored(state):
    watch = GradWatch()
    watch.load_state_dict(state)
    assert "is ignored" in watch.report.notes[0]
    fit(watch)
    assert len(watch.report.findings) == 1


def test_copies_and_pickles_before_and_after_a_fit():
    watch = GradWatch(on_vanishing="decay_lr")
    fit(pickle.loads(pickle.dumps(copy.deepcopy(watch))))
    fit(watch)
    for again in (copy.deepcopy(watch), pickle.loads(pickle.dumps(watch))):
        assert again.report == watch.report
        fit(again)
        assert len(again.report.findings) == 1


def test_copy_in_the_middle_of_a_fit():
    copies = []
    watch = GradWatch(every_n_steps=1)
    fitted = module(NAMESPACES[0], network(), on_step=lambda m, i: copies.append(copy.deepcopy(watch)))
    trainer(NAMESPACES[0], [watch]).fit(fitted, data())
    assert [len(c.report.frames) for c in copies] == list(range(8))


@both_namespaces
def test_same_instance_in_a_second_trainer(namespace):
    watch = GradWatch()
    fit(watch, namespace, sick=True)
    fit(watch, namespace, sick=False)
    assert watch.report.findings == ()


def test_several_instances_side_by_side(tmp_path):
    watches = [GradWatch(every_n_steps=1), GradWatch(every_n_steps=3), GradWatch(name="mine")]
    runner = trainer(NAMESPACES[0], watches)
    runner.fit(module(NAMESPACES[0], network()), data())
    runner.save_checkpoint(tmp_path / "three.ckpt")
    assert [len(w.report.findings) for w in watches] == [1, 1, 1]
    assert len({w.state_key for w in watches}) == 3


@pytest.mark.parametrize(
    "options",
    [{"max_steps": 0}, {"max_epochs": 0}, {"limit_train_batches": 0}, {"fast_dev_run": True}, {"max_steps": 1}],
    ids=str,
)
def test_very_short_fits(options):
    watch = GradWatch(strict=True)
    fit(watch, **options)
    assert len(watch.report.frames) == (1 if options in ({"fast_dev_run": True}, {"max_steps": 1}) else 0)
    assert str(watch.report)


def test_report_before_any_fit():
    assert "step" in str(GradWatch().report)


def test_validate_test_predict_only():
    watch = GradWatch(strict=True)
    fitted = module(NAMESPACES[0], network())
    fitted.validation_step = fitted.test_step = fitted.predict_step = lambda batch, batch_idx: fitted.net(
        batch[0]
    ).sum()
    runner = trainer(NAMESPACES[0], [watch])
    runner.validate(fitted, data(), verbose=False)
    runner.test(fitted, data(), verbose=False)
    runner.predict(fitted, data())
    assert watch.report.frames == ()


def test_last_step_is_measured():
    watch = GradWatch(every_n_steps=1000)
    fit(watch, max_epochs=4)  # 32 steps
    assert watch.report.frames[-1].step == 31


def test_steps_are_those_of_the_user_s_loss_curve(tmp_path):
    pl = importlib.import_module(NAMESPACES[0])
    logger = pl.loggers.CSVLogger(tmp_path)
    watch = GradWatch(every_n_steps=1)
    fit(watch, logger=logger)
    rows = list(csv.DictReader(Path(logger.log_dir, "metrics.csv").read_text().splitlines()))
    curve = [int(row["step"]) for row in rows if row.get("train_loss")]
    ours = [int(row["step"]) for row in rows if row.get("gradwatch/decades_lost")]
    assert curve == ours == [frame.step for frame in watch.report.frames]


def test_accumulation_is_measured_once_a_real_step():
    watch = GradWatch(every_n_steps=1, strict=True)
    fit(watch, accumulate_grad_batches=4)
    assert [frame.step for frame in watch.report.frames] == [0, 1]
    assert [frame.batch for frame in watch.report.frames] == [3, 7]


@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 3}], ids=["plain", "accumulated"])
def test_ledger_and_loss_are_the_user_s_own(options):
    watch = GradWatch(every_n_steps=1)
    fitted = module(NAMESPACES[0], network())
    x, y = next(iter(data()))
    fixed = [(x, y)] * 3
    loss = nn.functional.cross_entropy(fitted.net(x), y).item()
    trainer(NAMESPACES[0], [watch], **options).fit(fitted, torch.utils.data.DataLoader(fixed, batch_size=None))
    [frame, *_] = watch.report.frames
    assert frame.loss == pytest.approx(loss, rel=1e-5)
    assert frame.ledgers[0].start == pytest.approx(0.0, abs=1e-6)  # dL/dL = 1, whatever Lightning divides by


def test_no_device_copy_on_steps_that_are_not_measured(monkeypatch):
    calls = []
    from lightning_gradwatch.measure import step

    original = step.to_host
    monkeypatch.setattr(step, "to_host", lambda tensors: calls.append(1) or original(tensors))
    watch = GradWatch(every_n_steps=1000)
    fit(watch, max_epochs=4)
    assert len(calls) == len(watch.report.frames) == 14  # 0..9, 11, 16, 23, 31 of 32 steps


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    watch = GradWatch()
    fit(watch)
    fig, ax = watch.plot()
    again, same = watch.plot(ax=ax)
    assert (again, same) == (fig, ax)
    plt.close(fig)
