"""A scale leaves no trace: rates exact after every step and every exception, no optimizer held, copies independent."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch

from lightning_gradwatch.remedies.rate_scale import RateScale
from tests.remedies.optimizers import closure, parameters, recorder

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


@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_a_step_after_one_that_died_starts_from_the_clean_rate(factor):
    optimizer = recorder()
    scale = RateScale(factor=0.5)
    scale.attach([optimizer])
    dies = optimizer.register_step_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        optimizer.step()
    dies.remove()
    scale.factor = factor
    optimizer.step()
    assert optimizer.seen == [(0.1 * factor, 0.05 * factor)]


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
