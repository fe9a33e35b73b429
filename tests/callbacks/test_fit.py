"""Which steps are measured, and whose numbers they are."""

import csv
import importlib
from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, fit, module, network, trainer


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


def test_layers_that_no_optimizer_has_are_named_in_the_frame():
    fitted = module(NAMESPACES[0], network(sick=False, depth=3))
    fitted.configure_optimizers = lambda: torch.optim.AdamW(list(fitted.parameters())[2:], lr=1e-3, eps=1e-5)
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(fitted, data())
    names = tuple(name for name, _ in fitted.named_parameters())[:2]
    frames = watch.report.frames
    assert all(frame.unowned == names for frame in frames)
    assert {(o.kind, o.eps, o.decay) for frame in frames for o in frame.optimizers} == {("AdamW", 1e-5, 0.01)}
    assert all(parameter.weight > 0 for parameter in frames[-1].parameters)
