"""The rate that an optimizer steps with is factor x the untreated one, whoever else writes it, and exact afterwards."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import weakref

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
            scale.reapply(self)
            scale.reapply(self)  # again changes nothing
            return super().step(closure)

    optimizer = WritesWhileStepping([{"params": parameters()}], lr=0.1)
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    optimizer.step()
    assert optimizer.seen == [(0.2,)]
    assert optimizer.param_groups[0]["lr"] == 0.4
    scale.reapply(optimizer)  # outside a step: nothing
    assert optimizer.param_groups[0]["lr"] == 0.4


# --- exactness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.1, 1, 1e-3 / 3, 1e-320], ids=str)
def test_the_clean_rate_comes_back_as_the_same_object(rate):
    optimizer = recorder(rates=(rate, rate))
    scale = RateScale(factor=1 / 3)
    scale.attach([optimizer])
    for _ in range(5):
        optimizer.step()
    assert optimizer.param_groups[0]["lr"] is rate


def test_a_tensor_rate_keeps_identity_and_bits():
    optimizer = recorder(tensor=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    before = [rate.clone() for rate in rates]
    scale = RateScale(factor=1 / 3)
    scale.attach([optimizer])
    for _ in range(5):
        optimizer.step()
    assert all(group["lr"] is rate for group, rate in zip(optimizer.param_groups, rates, strict=True))
    assert all(torch.equal(rate, old) for rate, old in zip(rates, before, strict=True))


def test_a_rate_that_requires_a_gradient():
    optimizer = recorder()
    optimizer.param_groups[0]["lr"] = rate = torch.tensor(0.1, requires_grad=True)
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    optimizer.step()
    assert optimizer.seen[0][0] == pytest.approx(0.05)
    assert rate.item() == pytest.approx(0.1)


OPTIMIZERS = {
    "SGD momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "Adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
    "Adam tensor": lambda p, lr: torch.optim.Adam(p, lr=torch.tensor(lr), foreach=False),
    "AdamW fused": lambda p, lr: torch.optim.AdamW(p, lr=lr, fused=True),
    "LBFGS": lambda p, lr: torch.optim.LBFGS(p, lr=lr, max_iter=3),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_weights_are_those_of_a_lower_rate_bit_for_bit(make):
    lower, treated = make(parameters(), 0.25), make(parameters(), 0.5)
    scale = RateScale(factor=0.5)  # a power of two, so that rounding is the same
    scale.attach([treated])
    for _ in range(4):
        for optimizer in (lower, treated):
            optimizer.step(lambda optimizer=optimizer: closure(optimizer))
    for got, want in zip(treated.param_groups[0]["params"], lower.param_groups[0]["params"], strict=True):
        assert torch.equal(got, want)


def test_factor_one_touches_nothing():
    optimizer = recorder(tensor=True)
    scale = RateScale()
    scale.attach([optimizer])
    versions = [group["lr"]._version for group in optimizer.param_groups]
    handed = []

    def inside():
        handed.append(True)
        return 0.5

    assert optimizer.step(inside) == 0.5
    assert handed == [True]
    assert [group["lr"]._version for group in optimizer.param_groups] == versions


def test_the_closure_sees_clean_rates_and_its_result_is_returned():
    optimizer = recorder()
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    seen = []

    def inside():
        seen.extend(group["lr"] for group in optimizer.param_groups)
        return "the loss"

    assert optimizer.step(closure=inside) == "the loss"
    assert seen == [0.1, 0.05]
    assert optimizer.seen == [(0.05, 0.025)]


def test_a_group_without_a_rate_is_left_alone():
    optimizer = torch.optim.SGD(parameters(), lr=0.1)
    optimizer.param_groups.append({"params": []})
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    assert scale.effective_rates() == (0.05,)


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


# --- exceptions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_in_the_closure_leaves_clean_rates(error, tensor):
    optimizer = recorder(tensor)
    clean = [float(group["lr"]) for group in optimizer.param_groups]
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])

    def dies():
        raise error("on the way")

    with pytest.raises(error, match="on the way"):
        optimizer.step(dies)
    assert [float(group["lr"]) for group in optimizer.param_groups] == clean
    optimizer.step()
    assert optimizer.seen == [tuple(pytest.approx(rate / 2) for rate in clean)]


class Fragile(torch.optim.SGD):
    """Dies while it steps, after its hooks have begun."""

    def step(self, closure=None):
        raise RuntimeError("no memory left")


@pytest.mark.parametrize("how", ["restore", "detach", "next step"])
def test_an_exception_inside_the_step(how):
    optimizer = Fragile(parameters(), lr=0.1)
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    with pytest.raises(RuntimeError, match="no memory"):
        optimizer.step()
    assert optimizer.param_groups[0]["lr"] == 0.05  # torch calls no hook here
    assert scale.effective_rates() == (0.05,)
    if how == "next step":
        with pytest.raises(RuntimeError, match="no memory"):
            optimizer.step()
        assert optimizer.param_groups[0]["lr"] == 0.05  # scaled once, not twice
        scale.restore()
    else:
        getattr(scale, how)()
    assert optimizer.param_groups[0]["lr"] == 0.1


# --- copies and references -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))], ids=["copy", "pickle"])
@pytest.mark.parametrize("when", ["idle", "stepping"])
def test_a_copy_keeps_the_factor_and_no_optimizer(duplicate, when):
    optimizer = recorder()
    scale = RateScale(factor=0.5, floor=0.001)
    scale.attach([optimizer])
    copies = []
    optimizer.register_step_pre_hook(lambda *_: copies.append(duplicate(scale)))
    if when == "stepping":
        optimizer.step()
    other = copies[0] if copies else duplicate(scale)
    assert (other.factor, other.floor) == (0.5, 0.001)
    assert other.effective_rates() == ()
    fresh = recorder()
    other.attach([fresh])
    fresh.step()
    assert fresh.seen == [(0.05, 0.025)]


def test_a_copied_optimizer_is_not_scaled():
    optimizer = recorder()
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    twin = copy.deepcopy(optimizer)
    twin.seen = []  # torch copies state and groups only
    twin.step()
    assert twin.seen == [(0.1, 0.05)]


@pytest.mark.parametrize("detached", [True, False])
def test_an_optimizer_is_not_kept_alive(detached):
    optimizer = recorder()
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    optimizer.step()
    if detached:
        scale.detach()
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
    gone = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert gone() is None
    assert scale.effective_rates() == ()
    scale.detach()  # harmless


def test_state_dict_holds_the_clean_rate():
    optimizer = recorder()
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    saved = []
    optimizer.step(lambda: saved.append(copy.deepcopy(optimizer.state_dict())))
    saved.append(optimizer.state_dict())
    assert [state["param_groups"][0]["lr"] for state in saved] == [0.1, 0.1]


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
