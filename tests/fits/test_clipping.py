"""Gradient clipping"""

import importlib

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer
from tests.reference import twins

STEPS = 4


class Twin:
    """The gradient that arrived and the one that was used, as a float64 twin sees them, by the module's own hooks."""

    def __init__(self, fitted):
        self.arrived, self.used = [], []
        fitted.on_after_backward = lambda: self.arrived.append(self.of(fitted))
        step = fitted.configure_optimizers

        def configure_optimizers():
            optimizer = step()
            optimizer.register_step_post_hook(lambda *_: self.used.append(self.of(fitted)))
            return optimizer

        fitted.configure_optimizers = configure_optimizers

    @staticmethod
    def of(fitted):
        return twins.l2(torch.cat([p.grad.flatten() for p in fitted.parameters()]))


def check(fitted, namespace=NAMESPACES[0], **options):
    twin, watch = Twin(fitted), GradWatch(every_n_steps=1, strict=True)
    trainer(namespace, [watch], max_steps=STEPS, **options).fit(fitted, data())
    measured = watch.report.frames
    assert watch.report.findings == ()
    assert [frame.norm for frame in measured] == pytest.approx(twin.arrived, rel=1e-6)
    assert [frame.optimizers[0].used for frame in measured] == pytest.approx(twin.used, rel=1e-6)
    return watch, measured


@both_namespaces
@pytest.mark.parametrize("algorithm", ["norm", "value"], ids="by {}".format)
def test_before_and_after(namespace, algorithm):
    fitted = module(namespace, network(False), "SGD", rate=0.01)
    watch, measured = check(fitted, namespace, gradient_clip_val=0.01, gradient_clip_algorithm=algorithm)
    assert all(frame.clip_ratio < 0.9 for frame in measured)
    assert "Clipping of net: 4 of 4 measured steps (100 %)" in str(watch.report)
    if algorithm == "norm":
        assert [frame.optimizers[0].used for frame in measured] == pytest.approx([0.01] * STEPS, rel=1e-3)


def test_none():
    watch, measured = check(module(NAMESPACES[0], network(False), "SGD", rate=0.01))
    assert [frame.clip_ratio for frame in measured] == [1.0] * STEPS
    assert "Clipping" not in str(watch.report)


def test_a_value_that_is_never_reached():
    _, measured = check(module(NAMESPACES[0], network(False), "SGD", rate=0.01), gradient_clip_val=1e6)
    assert [frame.clip_ratio for frame in measured] == [1.0] * STEPS


def test_an_overridden_configure_gradient_clipping():
    fitted = module(NAMESPACES[0], network(False), "SGD", rate=0.01)

    def configure_gradient_clipping(optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
        for parameter in fitted.parameters():
            parameter.grad.mul_(0.25)

    fitted.configure_gradient_clipping = configure_gradient_clipping
    _, measured = check(fitted)
    assert [frame.clip_ratio for frame in measured] == pytest.approx([0.25] * STEPS)


def by_hand(fitted, clip):
    fitted.automatic_optimization = False

    def training_step(batch, batch_idx):
        optimizer = fitted.optimizers()
        optimizer.zero_grad()
        fitted.manual_backward(nn.functional.cross_entropy(fitted.net(batch[0]), batch[1]))
        clip(fitted, optimizer)
        optimizer.step()

    fitted.training_step = training_step
    return fitted


BY_HAND = {
    "manual, self.clip_gradients": lambda m, o: m.clip_gradients(o, 0.05, "norm"),
    "manual, clip_grad_norm_": lambda m, o: nn.utils.clip_grad_norm_(m.parameters(), 0.05),
    "manual, clip_grad_value_": lambda m, o: nn.utils.clip_grad_value_(m.parameters(), 1e-3),
}


@pytest.mark.parametrize("clip", BY_HAND.values(), ids=BY_HAND.keys())
def test_by_hand(clip):
    """The gradient of the way back is told, not the flat line that clipping makes of it."""
    _, measured = check(by_hand(module(NAMESPACES[0], network(False), "SGD", rate=0.01), clip))
    assert all(frame.clip_ratio < 0.9 for frame in measured)


def test_gradients_that_are_made_larger_or_replaced_are_what_is_told():
    def noisy(fitted, optimizer):
        for parameter in fitted.parameters():
            parameter.grad = parameter.grad * 3

    fitted = by_hand(module(NAMESPACES[0], network(False), "SGD", rate=0.01), noisy)
    twin, watch = Twin(fitted), GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch], max_steps=STEPS).fit(fitted, data())
    assert [frame.norm for frame in watch.report.frames] == pytest.approx(twin.used, rel=1e-6)
    assert {frame.clip_ratio for frame in watch.report.frames} == {1.0}


def test_the_curve_is_logged(tmp_path):
    logger = importlib.import_module(NAMESPACES[0]).loggers.CSVLogger(tmp_path)
    watch = GradWatch(every_n_steps=1)
    fitted = module(NAMESPACES[0], network(False), "SGD", rate=0.01)
    trainer(NAMESPACES[0], [watch], logger=logger, gradient_clip_val=0.01).fit(fitted, data())
    header = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text().splitlines()[0]
    assert "gradwatch/clip_ratio" in header.split(",")
