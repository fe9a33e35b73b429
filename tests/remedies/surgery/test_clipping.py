"""Clipping, beside slow twins in float64."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch
from torch import nn

from lightning_gradwatch import ClipGradients
from lightning_gradwatch.remedies.surgery.at_step import running_on
from lightning_gradwatch.remedies.surgery.clipping import ByQuantile, last_linear, shortened, transposed, unit_norms
from tests.remedies.optimizer_fits import NAMESPACES, fit, module_of

LONG, SHORT = 10.0, 0.5


def network(scale=1.0):
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3), nn.Tanh(), nn.Linear(3, 2))
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter) * scale
    return net


def gradients(net):
    return [parameter.grad.clone().double() for parameter in net.parameters()]


def clipped(net, treatment, **changed):
    """The gradients that the optimizer of this network steps with."""
    optimizer, seen = torch.optim.SGD(net.parameters(), lr=0.0, **changed), []
    treatment.apply(net, optimizer)
    optimizer.register_step_pre_hook(lambda *_: seen.extend(gradients(net)))
    optimizer.step()
    return seen


def length(tensors):
    return math.sqrt(sum(float((one.double() ** 2).sum()) for one in tensors))


@pytest.mark.parametrize("bound", [LONG, SHORT, 1e3])
def test_by_norm(bound):
    net = network()
    before = gradients(net)
    norm = length(before)
    after = clipped(net, ClipGradients(bound))
    for got, was in zip(after, before, strict=True):
        torch.testing.assert_close(got, was * min(1.0, bound / norm), rtol=1e-6, atol=0)
    assert (length(after) < norm) is (bound < norm)


def test_a_vanishing_gradient_that_is_short_enough_is_not_touched():
    net = network(1e-12)
    before = gradients(net)
    assert all(torch.equal(a, b) for a, b in zip(before, clipped(net, ClipGradients(1e-9)), strict=True))


def test_by_value():
    net = network()
    before = gradients(net)
    after = clipped(net, ClipGradients(0.3, mode="value"))
    assert all(torch.allclose(got, was.clamp(-0.3, 0.3)) for got, was in zip(after, before, strict=True))


def by_unit(weight, gradient, ratio, dim=0):
    """Equation 3, unit by unit: a vector is one unit."""
    result = gradient.clone()
    if gradient.ndim <= 1:
        rows = [(weight, result)]
    else:
        rows = [(weight.select(dim, i), result.select(dim, i)) for i in range(weight.shape[dim])]
    for w, g in rows:
        bound = ratio * max(float(w.double().norm()), 1e-3)
        if float(g.double().norm()) > bound:
            g.mul_(bound / float(g.double().norm()))
    return result


def test_by_unit_and_not_in_the_last_layer():
    net = network()
    before = [(p.detach().double(), p.grad.double()) for p in net.parameters()]
    after = clipped(net, ClipGradients(mode="agc", agc=0.1))
    for (weight, gradient), got in zip(before[:4], after[:4], strict=True):
        torch.testing.assert_close(got, by_unit(weight, gradient, 0.1), rtol=1e-5, atol=0)
    assert all(torch.equal(got, gradient) for (_, gradient), got in zip(before[4:], after[4:], strict=True))


def test_units_of_a_transposed_convolution_lie_along_the_second_dimension():
    net = nn.Sequential(nn.ConvTranspose1d(2, 3, 2, bias=False))
    weight = net[0].weight
    weight.grad = torch.arange(12.0).reshape_as(weight)
    expected = by_unit(weight.detach().double(), weight.grad.double(), 0.01, dim=1)
    assert transposed(net) == {id(weight): 1}
    torch.testing.assert_close(clipped(net, ClipGradients(mode="agc"))[0], expected, rtol=1e-5, atol=0)


def test_a_worked_unit():
    assert unit_norms(torch.tensor([[3.0, 4.0], [0.0, 2.0]])).tolist() == [[5.0], [2.0]]
    assert shortened(torch.tensor(8.0), torch.tensor(2.0)).item() == 0.25
    assert last_linear(nn.Sequential(nn.Linear(1, 2), nn.ReLU())).out_features == 2
    assert last_linear(nn.ReLU()) is None


@pytest.mark.parametrize("quantile", [0.0, 0.1, 0.9, 1.0])
def test_at_the_quantile_of_the_last_norms(quantile):
    """As numpy has it, over a window that is written over."""
    weight = nn.Parameter(torch.zeros(1))
    net = nn.Module()
    net.weight = weight
    optimizer = torch.optim.SGD([weight], lr=0.0)
    ClipGradients(quantile=quantile, window=7).apply(net, optimizer)
    norms = np.abs(np.random.default_rng(0).standard_cauchy(20))
    norms[[3, 11]] = np.inf, 0.0
    for i, norm in enumerate(norms):
        weight.grad = torch.tensor([norm], dtype=torch.float32)
        optimizer.step()
        seen = [n for n in norms[max(0, i - 6) : i + 1] if np.isfinite(n) and n > 0]
        expected = norm if not np.isfinite(norm) else min(norm, np.quantile(seen, quantile))
        assert weight.grad.item() == pytest.approx(expected, rel=1e-5), i


def test_norms_survive_a_checkpoint():
    one, other = (ByQuantile("it", None, 0.5, 4, skip=False) for _ in range(2))
    for norm in (1.0, 2.0, 3.0):
        one.limit(torch.tensor(norm))
    other.load_state_dict(one.state_dict())
    assert [one.limit(torch.tensor(9.0)).item(), other.limit(torch.tensor(9.0)).item()] == [2.5, 2.5]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    "options", [{"max_norm": 1.0}, {}, {"mode": "agc"}, {"max_norm": 1.0, "mode": "value"}], ids=str
)
def test_what_is_not_finite(options, skip):
    net = network()
    net[0].weight.grad[0, 0, 0, 0] = math.nan
    before = gradients(net)
    after = clipped(net, ClipGradients(**options, skip_nonfinite=skip))
    if skip:
        assert length(after) == 0
    else:
        assert math.isnan(after[0][0, 0, 0, 0])
        if "max_norm" in options and "mode" not in options:  # no length to compare with: nothing is shortened
            assert torch.equal(after[2], before[2])


def test_only_the_parts_that_are_asked_for():
    net = network()
    before = gradients(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    ClipGradients(1e-3).apply(net, optimizer, where=["2"])
    optimizer.step()
    after = gradients(net)
    assert length(after[2:4]) == pytest.approx(1e-3, rel=1e-5)
    assert all(torch.equal(after[i], before[i]) for i in (0, 1, 4, 5))


def test_a_fused_optimizer_under_a_scaler_is_clipped_in_true_lengths():
    """It divides by the loss scale in its own kernel, after the hook."""
    weight = nn.Parameter(torch.zeros(2))
    net = nn.Module()
    net.weight = weight
    optimizer = torch.optim.SGD([weight], lr=1.0, fused=True)
    ClipGradients(1.0).apply(net, optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=128.0)
    scaler.scale((weight * torch.tensor([30.0, 40.0])).sum()).backward()
    scaler.step(optimizer)
    assert weight.tolist() == pytest.approx([-0.6, -0.8])


def test_every_call_of_a_closure_is_clipped():
    net = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=3)
    ClipGradients(0.1).apply(net, optimizer)
    seen = []

    def closure():
        optimizer.zero_grad()
        loss = net(torch.full((1, 1), 10.0)).square().sum()
        loss.backward()
        return loss

    norms = running_on(optimizer)[0]
    norms.clip = lambda one, gradients, clip=norms.clip: (clip(one, gradients), seen.append(length(gradients)))
    optimizer.step(closure)
    assert len(seen) > 1
    assert max(seen) <= 0.1 * (1 + 1e-6)


@pytest.mark.parametrize("value", [0.05, 0.3])
def test_a_fit_is_that_of_the_trainers_own_clipping(value):
    ours, lightnings = fit(NAMESPACES[0], ClipGradients(value)), fit(NAMESPACES[0], gradient_clip_val=value)
    for one, other in zip(ours.parameters(), lightnings.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)  # torch adds 1e-6 to the norm


def test_the_first_fsdp_clips_by_itself(caplog):
    treatment, module = ClipGradients(1.0), module_of(importlib.import_module(NAMESPACES[0]))

    class FullyShardedDataParallel:
        pass

    class Trainer:
        strategy = type("Strategy", (), {"model": FullyShardedDataParallel()})
        optimizers = ()

    treatment.on_train_start(Trainer, module)
    assert "FullyShardedDataParallel clips by itself" in caplog.text
    assert not treatment.applied
