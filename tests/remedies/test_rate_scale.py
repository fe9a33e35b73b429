"""The rate that an optimizer steps with is factor x the untreated one, whoever else writes it, and exact afterwards."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.rate_scale import RateScale
from tests.remedies.optimizers import (
    DETACHED_AT,
    SCALED_AT,
    SCHEDULERS,
    STEPS,
    closure,
    parameters,
    recorder,
    step_schedule,
)

FACTOR = 0.1


def loop(optimizers, schedules, scale=None, write=lambda optimizer, step: None, with_closure=True):
    """A training loop; a scale treats it from SCALED_AT to DETACHED_AT.  Returns the rates between the steps."""
    clean = []
    for step in range(STEPS):
        if scale is not None and step == SCALED_AT:
            scale.scale(FACTOR)
        if scale is not None and step == DETACHED_AT:
            scale.detach()
        for optimizer in optimizers:

            def inside(optimizer=optimizer, step=step):
                write(optimizer, step)
                return closure(optimizer)

            if with_closure:
                optimizer.step(inside)
            else:
                inside()
                optimizer.step()
        for schedule in schedules:
            step_schedule(schedule)
        clean.append([float(group["lr"]) for optimizer in optimizers for group in optimizer.param_groups])
    return clean


def expect_scaled(treated, untreated, factor=FACTOR):
    for step, (got, plain) in enumerate(zip(treated, untreated, strict=True)):
        by = factor if SCALED_AT <= step < DETACHED_AT else 1.0
        assert got == pytest.approx([by * rate for rate in plain], rel=1e-6), step
        if by == 1.0:
            assert got == plain  # before and after the treatment bit for bit the untreated rate


@pytest.mark.parametrize("with_closure", [True, False], ids=["closure", "no closure"])
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize("name", SCHEDULERS, ids=str)
def test_holds_under_every_schedule(name, tensor, with_closure):
    plain, treated = recorder(tensor), recorder(tensor)
    scale = RateScale()
    scale.attach([treated])
    untreated_clean = loop([plain], [SCHEDULERS[name](plain)], with_closure=with_closure)
    clean = loop([treated], [SCHEDULERS[name](treated)], scale, with_closure=with_closure)
    expect_scaled(treated.seen, plain.seen)
    assert clean == untreated_clean  # between steps nobody sees the factor, so no schedule can take it away


def test_a_scaled_float_rate_is_exactly_the_product():
    plain, treated = recorder(), recorder()
    scale = RateScale()
    scale.attach([treated])
    loop([plain], [SCHEDULERS["OneCycleLR"](plain)])
    loop([treated], [SCHEDULERS["OneCycleLR"](treated)], scale)
    assert treated.seen[SCALED_AT] == tuple(rate * FACTOR for rate in plain.seen[SCALED_AT])


def write_absolute(optimizer, step):
    for group in optimizer.param_groups:
        _set(group, 0.3 / (1 + step))


def write_relative(optimizer, step):
    for group in optimizer.param_groups:
        _set(group, float(group["lr"]) * 0.9)


def write_the_scaled_value(optimizer, step):
    for group in optimizer.param_groups:
        _set(group, 0.1 * FACTOR)  # what a scaled group may hold anyway: must not be taken for our own


def _set(group, rate):
    if torch.is_tensor(group["lr"]):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize("write", [write_absolute, write_relative, write_the_scaled_value])
def test_holds_when_the_closure_writes_the_rate(write, tensor):
    plain, treated = recorder(tensor), recorder(tensor)
    scale = RateScale()
    scale.attach([treated])
    loop([plain], [], write=write)
    loop([treated], [], scale, write=write)
    expect_scaled(treated.seen, plain.seen)


def test_two_optimizers_with_schedules_of_their_own():
    names = ("OneCycleLR", "own constants")
    plain, treated = ([recorder(seed=seed) for seed in (1, 2)] for _ in range(2))
    scale = RateScale()
    scale.attach(treated)
    loop(plain, [SCHEDULERS[n](o) for n, o in zip(names, plain, strict=True)])
    loop(treated, [SCHEDULERS[n](o) for n, o in zip(names, treated, strict=True)], scale)
    for got, want in zip(treated, plain, strict=True):
        expect_scaled(got.seen, want.seen)


@pytest.mark.parametrize("attachments", [1, 2, 3])
def test_attaching_again_does_not_double(attachments):
    optimizer = recorder()
    scale = RateScale(factor=0.5)
    for _ in range(attachments):
        scale.attach([optimizer, optimizer])
    optimizer.step()
    assert optimizer.seen == [(0.05, 0.025)]
    assert scale.effective_rates() == (0.05, 0.025)


def test_a_lightning_optimizer_is_unwrapped():
    class Wrapper:
        def __init__(self, optimizer):
            self.optimizer = optimizer

    optimizer = recorder()
    scale = RateScale(factor=0.5)
    scale.attach([Wrapper(optimizer)])
    scale.reapply(Wrapper(optimizer))
    optimizer.step()
    assert optimizer.seen == [(0.05, 0.025)]


def test_reapply_scales_what_was_written_after_the_closure():
    class WritesWhileStepping(type(recorder())):
        def step(self, closure=None):
            self.param_groups[0]["lr"] = 0.4
            told.append(scale.effective_rates())
            scale.reapply(self)
            scale.reapply(self)  # again changes nothing
            return super().step(closure)

    told = []
    optimizer = WritesWhileStepping([{"params": parameters()}], lr=0.1)
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    optimizer.step()
    assert told == [(0.2,)]
    assert optimizer.seen == [(0.2,)]
    assert optimizer.param_groups[0]["lr"] == 0.4
    scale.reapply(optimizer)  # outside a step: nothing
    assert optimizer.param_groups[0]["lr"] == 0.4


@pytest.mark.parametrize("with_closure", [True, False], ids=["closure", "no closure"])
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize("name", ["none", "OneCycleLR", "MultiplicativeLR"])
def test_several_scales_of_one_optimizer_multiply(name, tensor, with_closure):
    plain, treated = recorder(tensor), recorder(tensor)
    first, scale, last = RateScale(0.5), RateScale(), RateScale(0.25)
    for one in (first, scale, last):
        one.attach([treated])
    untreated_clean = loop([plain], [SCHEDULERS[name](plain)], with_closure=with_closure)
    clean = loop([treated], [SCHEDULERS[name](treated)], scale, with_closure=with_closure)
    assert clean == untreated_clean
    for step, (got, rates) in enumerate(zip(treated.seen, plain.seen, strict=True)):
        by = FACTOR if SCALED_AT <= step < DETACHED_AT else 1.0
        assert got == pytest.approx([0.125 * by * rate for rate in rates], rel=1e-6)
    assert last.effective_rates() == pytest.approx([0.125 * rate for rate in clean[-1]])


def test_each_tells_the_rates_of_all_also_inside_a_step():
    optimizer, told = recorder(), []
    scales = [RateScale(0.5), RateScale(0.5)]
    for one in scales:
        one.attach([optimizer])
    optimizer.register_step_pre_hook(lambda *_: told.append([one.rates_of(optimizer) for one in scales]))
    optimizer.step()
    assert told == [[(0.025, 0.0125)] * 2]
    assert [one.effective_rates() for one in scales] == [(0.025, 0.0125)] * 2


def test_only_the_groups_that_are_meant():
    optimizer = recorder()
    scale = RateScale(0.5, only=lambda group: group is optimizer.param_groups[1])
    scale.attach([optimizer])
    optimizer.step()
    assert optimizer.seen == [(0.1, 0.025)]
    assert scale.effective_rates() == (0.1, 0.025)


# --- floor and factor ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize(
    ("rate", "factor", "floor", "effective"),
    [
        pytest.param(0.1, 0.5, 0.01, 0.05, id="above the floor"),
        pytest.param(0.1, 0.01, 0.02, 0.02, id="held at the floor"),
        pytest.param(0.001, 0.1, 0.02, 0.001, id="lower by itself: untouched"),
        pytest.param(0.0, 0.1, 0.02, 0.0, id="a warm-up's zero stays zero"),
        pytest.param(0.1, 2.0, 0.02, 0.2, id="a factor above 1 raises"),
    ],
)
def test_floor(rate, factor, floor, effective, tensor):
    optimizer = recorder(tensor, rates=(rate, rate))
    scale = RateScale(factor=factor, floor=floor)
    scale.attach([optimizer])
    optimizer.step()
    assert optimizer.seen[0] == pytest.approx((effective, effective))
    assert scale.effective_rates() == pytest.approx((effective, effective))


def test_scaling_accumulates_and_tells_old_and_new():
    optimizer = recorder()
    scale = RateScale(floor=0.02)
    scale.attach([optimizer])
    assert scale.scale(0.5) == ((0.1, 0.05), (0.05, 0.025))
    assert scale.scale(0.5) == ((0.05, 0.025), (0.025, 0.02))
    assert scale.factor == 0.25


def test_scaling_inside_a_step_counts_at_once():
    optimizer = recorder()
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    optimizer.register_step_pre_hook(lambda *_: scale.scale(0.5) and None)
    optimizer.step()
    assert optimizer.seen == [(0.025, 0.0125)]
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.05]


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf], ids=str)
@pytest.mark.parametrize("argument", ["factor", "by"])
def test_a_factor_that_is_no_factor(argument, value):
    with pytest.raises(WrongArgument, match=rf"`{argument}` must be a finite number above 0, got "):
        RateScale(factor=value) if argument == "factor" else RateScale().scale(value)


@pytest.mark.parametrize("floor", [-1e-9, math.nan, math.inf], ids=str)
def test_a_floor_below_zero(floor):
    with pytest.raises(WrongArgument, match="`floor` must be a finite number of at least 0"):
        RateScale(floor=floor)


def test_something_else_than_an_optimizer():
    with pytest.raises(WrongArgument, match="`optimizers` must be torch optimizers, which have step hooks, got 'str'"):
        RateScale().attach(["adam"])
