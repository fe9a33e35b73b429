import math

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradientNorm, UpdateRatio
from lightning_gradwatch.measure.updates import remember
from tests.reference import twins

STEPS = [[torch.randn(3, 4) * 10.0**-k, None, torch.randn(5).bfloat16()] for k in range(4)]


def test_gradient_norm_is_the_twin_s_mean():
    metric = GradientNorm()
    for step in STEPS:
        metric.update(step)
    expected = sum(math.hypot(*(twins.l2(g) for g in step if g is not None)) for step in STEPS) / len(STEPS)
    assert metric.compute().item() == pytest.approx(expected, rel=1e-6)


def test_vanished_is_not_zero():
    metric = GradientNorm()
    metric.update([torch.full((4,), 1e-38)])
    assert metric.compute().item() == pytest.approx(2e-38)


def test_ranks_are_reduced_as_declared():
    """What torchmetrics does on two ranks, by hand: states are summed, then computed."""
    left, right, both = GradientNorm(), GradientNorm(), GradientNorm()
    for metric, steps in ((left, STEPS[:1]), (right, STEPS[1:]), (both, STEPS)):
        for step in steps:
            metric.update(step)
    assert {reduction.__name__ for reduction in left._reductions.values()} == {"dim_zero_sum"}
    left.total, left.steps = left.total + right.total, left.steps + right.steps
    left._computed = None
    assert left.compute().item() == pytest.approx(both.compute().item())


def test_update_ratio_takes_the_largest():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    metric, before = UpdateRatio(), remember([*model.parameters()])
    with torch.no_grad():
        model[0].weight.mul_(1.01)
        model[1].weight.mul_(1.5)
    metric.update([*model.parameters()], before)
    assert metric.compute().item() == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("build", [GradientNorm, UpdateRatio])
def test_nothing_seen_is_nan_and_reset_forgets(build):
    metric = build()
    metric.update(*([[torch.ones(1)]] if build is GradientNorm else [[torch.ones(1)], [torch.ones(1)]]))
    metric.reset()
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert math.isnan(metric.compute().item())


def test_wrong_lengths_raise():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        UpdateRatio().update([torch.ones(1)], [])


def test_in_a_lightning_module_s_log():
    """torchmetrics in self.log: the way users have metrics already."""
    from tests.callbacks.fits import NAMESPACES, data, module, network, trainer

    fitted = module(NAMESPACES[0], network(False))
    fitted.norm = GradientNorm()

    def on_before_optimizer_step(optimizer):
        fitted.norm.update([p.grad for p in fitted.net.parameters()])
        fitted.log("norm", fitted.norm, on_epoch=True, on_step=False)

    fitted.on_before_optimizer_step = on_before_optimizer_step
    runner = trainer(NAMESPACES[0])
    runner.fit(fitted, data())
    assert runner.callback_metrics["norm"] > 0
