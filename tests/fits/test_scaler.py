"""16-mixed with a GradScaler"""

import importlib
import math

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer

pl = importlib.import_module(NAMESPACES[0])


def scaled_fit(watch, scale, optimizer=None, *, namespace=NAMESPACES[0], steps=6, change=None, **options):
    """A fit in float16 autocast with a gradient scaler; ``scale=None``: the same fit in float32."""
    fitted = module(namespace, network(False), "SGD", rate=0.01)
    if optimizer is not None:
        fitted.configure_optimizers = lambda: optimizer(fitted.parameters())
    if change is not None:
        change(fitted)
    if scale is not None:
        plugins = importlib.import_module(f"{namespace}.plugins.precision")
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        options["plugins"] = [plugins.MixedPrecision("16-mixed", "cpu", scaler)]
    trainer(namespace, [watch] if watch else [], max_steps=steps, max_epochs=-1, **options).fit(fitted, data())
    return fitted


def frames(scale, optimizer=None, **options):
    watch = GradWatch(every_n_steps=1, strict=True)
    scaled_fit(watch, scale, optimizer, **options)
    assert watch.report.findings == ()
    return watch.report.frames


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.01),
    "Adam": lambda p: torch.optim.Adam(p, 1e-4),
    "fused Adam": lambda p: torch.optim.Adam(p, 1e-4, fused=True),
    "fused SGD": lambda p: torch.optim.SGD(p, 0.01, fused=True),
}


@both_namespaces
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_the_scale_changes_no_number(namespace, optimizer):
    scaled, true = (frames(scale, optimizer, namespace=namespace) for scale in (128.0, None))
    for ours, theirs in zip(scaled, true, strict=True):
        assert (ours.loss_scale, theirs.loss_scale) == (128.0, 1.0)
        assert ours.norm == pytest.approx(theirs.norm, rel=2e-2)
        assert ours.loss == pytest.approx(theirs.loss, rel=2e-2)
        assert ours.ledgers[0].decades == pytest.approx(theirs.ledgers[0].decades, abs=5e-2)  # 128: 2.1
        assert ours.ledgers[0].start == pytest.approx(0.0, abs=1e-2)
        assert ours.optimizers[0].used == pytest.approx(ours.norm, rel=1e-5)
        for one, other in zip(ours.parameters, theirs.parameters, strict=True):
            assert one.norm == pytest.approx(other.norm, rel=0.1, abs=1e-3)  # float16 rounds the single layer


BESIDE = {"clipped": {"gradient_clip_val": 0.1}, "accumulated over 2 batches": {"accumulate_grad_batches": 2}}


@pytest.mark.parametrize("options", BESIDE.values(), ids=BESIDE.keys())
def test_the_scale_changes_no_number_beside(options):
    scaled, true = (frames(scale, steps=3, **options) for scale in (128.0, None))
    assert [frame.norm for frame in scaled] == pytest.approx([frame.norm for frame in true], rel=2e-2)
    used = [[frame.optimizers[0].used for frame in side] for side in (scaled, true)]
    assert used[0] == pytest.approx(used[1], rel=2e-2)


@pytest.mark.parametrize(
    "optimizer",
    [OPTIMIZERS["Adam"], OPTIMIZERS["fused Adam"]],
    ids=["the scale comes down from 2^40, Adam", "the scale comes down from 2^40, fused Adam"],
)
def test_the_search_for_the_scale_is_skipped_and_no_news(optimizer):
    """From 2^40 the scaler comes down; the steps that it skips are counted."""
    measured = frames(2.0**40, optimizer, steps=34)
    overflowed = [frame.skipped for frame in measured]
    assert overflowed[0]
    assert not overflowed[-1]
    fell = math.log2(2.0**40 / measured[-1].loss_scale)  # one halving a skipped step
    assert measured[-1].skipped_steps == fell
    assert sum(overflowed) == fell


def test_skipped_steps_are_counted_between_measured_ones_too():
    watch = GradWatch(every_n_steps=1000, strict=True)
    scaled_fit(watch, 2.0**60, OPTIMIZERS["SGD"], steps=56)
    last = watch.report.frames[-1]
    assert last.step == 55
    assert last.skipped_steps == math.log2(2.0**60 / last.loss_scale)
    assert len(watch.report.frames) < 20
    assert "has skipped" in str(watch.report)


def test_a_loss_scale_that_collapses_is_told():
    def never_finite(fitted):
        step = fitted.training_step
        fitted.training_step = lambda batch, batch_idx: step(batch, batch_idx) * math.inf

    watch = GradWatch(every_n_steps=1, strict=True)
    scaled_fit(watch, 4.0, change=never_finite)
    [finding] = watch.report.findings
    assert (finding.id, finding.kind, finding.severity) == ("overflow", "nonfinite", "critical")
    assert "even at a loss scale of" in finding.summary


def clips(in_true_units):
    """Manual optimisation that clips while the gradients are scaled, as Lightning has it (PL#18089)."""

    def change(fitted):
        fitted.automatic_optimization = False

        def training_step(batch, batch_idx):
            optimizer = fitted.optimizers()
            optimizer.zero_grad()
            fitted.manual_backward(torch.nn.functional.cross_entropy(fitted.net(batch[0]), batch[1]))
            scale = fitted.trainer.scaler.get_scale() if in_true_units else 1.0
            fitted.clip_gradients(optimizer, 0.5 * scale, "norm")
            optimizer.step()

        fitted.training_step = training_step

    return change


def clips_in_on_after_backward(fitted):
    fitted.on_after_backward = lambda: torch.nn.utils.clip_grad_norm_(fitted.parameters(), 0.5)


@pytest.mark.parametrize(
    ("change", "told"),
    [(clips(False), True), (clips(True), False), (clips_in_on_after_backward, True)],
    ids=["manual, clipped while scaled", "manual, clip value scaled too", "clipped in on_after_backward"],
)
def test_clipping_scaled_gradients_is_told(change, told):
    watch = GradWatch(every_n_steps=1, strict=True)
    scaled_fit(watch, 128.0, change=change)
    assert any("still multiplied by the loss scale (128)" in note for note in watch.report.notes) is told
    true = frames(None, change=clips(False))[0]
    first = watch.report.frames[0]
    assert first.norm == pytest.approx(true.norm, rel=2e-2)  # before the clipping, whatever that did
    assert first.optimizers[0].used == pytest.approx(0.5 / 128 if told else 0.5, rel=2e-2)
    assert watch.report.findings == ()


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning")  # Lightning says it once a process
def test_training_step_returned_none_is_no_skipped_step():
    def change(fitted):
        fitted.training_step = lambda batch, batch_idx: None

    measured = frames(128.0, change=change)
    assert [frame.skipped_steps for frame in measured] == [0] * 6
