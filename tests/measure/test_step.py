import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.parameters import owned_by
from lightning_gradwatch.measure.step import Reading, StepMeter
from tests.reference import twins


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def step(model, optimizer, meter, scale=1.0, backwards=1):
    for _ in range(backwards):
        loss = model(torch.ones(5, 3)).square().mean()
        meter.backward_begins(loss.grad_fn, loss.detach(), scale)
        (loss * scale).backward()
        meter.backward_ends()
    meter.optimizer(0).begins(lambda: owned_by(optimizer, 0, meter.names), scale, meter.backwards)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = None if p.grad is None else p.grad / scale
    optimizer.step()
    meter.optimizer(0).ends()
    return before


def test_readings_equal_the_twins(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    meter = StepMeter(parameter_names(model))
    before = step(model, optimizer, meter, scale=64.0)
    read = meter.finish()
    assert read.loss > 0
    assert [ledger.name for ledger in read.ledgers] == ["loss"]
    for reading in read.parameters:
        parameter = model.get_parameter(reading.name)
        assert reading.norm == pytest.approx(twins.l2(parameter.grad), rel=1e-6)
        assert reading.rms == pytest.approx(reading.norm / math.sqrt(parameter.numel()))
        assert reading.max == pytest.approx(twins.largest(parameter.grad), rel=1e-6)
        moved = twins.l2(parameter.detach().double() - before[reading.name].double())
        assert reading.update == pytest.approx(moved / twins.l2(before[reading.name]), rel=1e-4)
        rms = twins.l2(before[reading.name]) / math.sqrt(parameter.numel())
        assert reading.weight == pytest.approx(rms, rel=1e-6)
        assert (reading.zeros, reading.nonfinite, reading.optimizer) == (0.0, 0, 0)


def test_several_backwards_are_several_ledgers(model):
    meter = StepMeter(parameter_names(model))
    each = model(torch.ones(5, 3)).square().mean().item()
    step(model, torch.optim.SGD(model.parameters(), lr=0.1), meter, backwards=2)
    read = meter.finish()
    assert [ledger.name for ledger in read.ledgers] == ["loss", "loss[1]"]
    assert read.loss == pytest.approx(2 * each)


def test_very_many_backwards_keep_the_first_ledgers(model):
    meter = StepMeter(parameter_names(model))
    step(model, torch.optim.SGD(model.parameters(), lr=0.1), meter, backwards=20)
    assert meter.backwards == 20
    assert [ledger.name for ledger in meter.finish().ledgers] == ["loss", *(f"loss[{i}]" for i in range(1, 8))]


def test_a_closure_s_repetitions_are_no_losses_of_their_own(model):
    meter = StepMeter(parameter_names(model))
    for _ in range(3):
        loss = model(torch.ones(5, 3)).square().mean()
        meter.backward_begins(loss.grad_fn, loss.detach(), 1.0, again=False)
        loss.backward()
    read = meter.finish()
    assert [ledger.name for ledger in read.ledgers] == ["loss"]
    assert read.loss == pytest.approx(loss.item())


def test_parameters_without_a_gradient(model):
    extra = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([*model.parameters(), extra], lr=0.1)
    meter = StepMeter({**parameter_names(model), id(extra): "extra"})
    step(model, optimizer, meter)
    [reading] = [r for r in meter.finish().parameters if r.name == "extra"]
    assert (reading.norm, reading.rms, reading.max, reading.zeros, reading.update) == (None,) * 5
    assert reading.weight is None


def test_an_optimizer_that_never_steps_is_nobody_s_news(model):
    meter = StepMeter(parameter_names(model))
    meter.optimizer(0).arrives([], 1.0)
    assert meter.finish() == Reading()


def test_what_the_target_layer_was_given(model):
    meter = StepMeter(parameter_names(model))
    step(model, torch.optim.SGD(model.parameters(), lr=0.1), meter)
    assert [(x.target, x.given) for x in meter.finish().ledgers] == [("0.weight", pytest.approx(1.0))]


def test_backward_that_raises_leaves_no_ledger(model):
    meter = StepMeter(parameter_names(model))
    hidden = model[0](torch.ones(5, 3))
    hidden.register_hook(lambda gradient: 1 / 0)
    loss = model[2](hidden).mean()
    meter.backward_begins(loss.grad_fn, loss.detach(), 1.0)
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert meter.finish().ledgers == ()
