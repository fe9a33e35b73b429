"""Factors of the learning rate, step by step."""

from __future__ import annotations

import math
from statistics import median

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.rates import OnNoise, OnPlateau, Ramp, Rates, Staircase
from tests.remedies.optimizers import recorder


def factors(acts, steps, gradient=None):
    """What each of so many steps is multiplied by."""
    optimizer = recorder(rates=(1.0, 1.0))
    acts.attach(optimizer)
    for step in range(steps):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None if gradient is None else torch.full((3,), gradient(step))
        optimizer.step()
    acts.detach()
    return [rates[0] for rates in optimizer.seen]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Rates("it", 0.5), [0.5] * 6),
        (lambda: Staircase("it", 0.5, 2), [1, 1, 0.5, 0.5, 0.25, 0.25]),
        (lambda: Staircase("it", 0.5, 2, floor=0.4), [1, 1, 0.5, 0.5, 0.4, 0.4]),
        (lambda: Ramp("it", 0.2, 4), [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]),
        (lambda: Ramp("it", 0.2, 1), [0.2, 1, 1, 1, 1, 1]),
    ],
    ids=["constant", "staircase", "floor", "ramp", "short ramp"],
)
def test_step_by_step_and_over_a_checkpoint(make, expected):
    assert factors(make(), 6) == pytest.approx(expected)
    first, second = make(), make()
    seen = factors(first, 3)
    second.load_state_dict(first.state_dict())
    assert seen + factors(second, 3) == pytest.approx(expected)


def test_a_factor_never_becomes_zero():
    acts = Staircase("it", 1e-200, 1)
    assert factors(acts, 4)[-1] > 0


LOSSES = [4.0, 2.0, 3.0, 1.0, 3.0, 3.0, 1.0, 2.0, 1.0, 0.5, math.nan, 1.0]


def by_hand(losses, drop=0.5, window=2):
    """Means of two, the best of them so far, one drop for each that is not below it."""
    best, factor, seen = math.inf, 1.0, []
    for i in range(0, len(losses), window):
        mean = sum(losses[i : i + window]) / window
        if i == 0 or mean < best:
            best = mean
        else:
            factor *= drop
        seen.append(factor)
    return seen


@pytest.mark.parametrize("broken", [0, 5], ids=["whole", "resumed"])
def test_on_a_plateau(broken):
    acts, seen = OnPlateau("it", 0.5, 2), []
    for i, loss in enumerate(LOSSES):
        if broken and i == broken:
            state, acts = acts.state_dict(), OnPlateau("it", 0.5, 2)
            acts.load_state_dict(state)
        acts.sees(torch.tensor(loss), float)
        seen.append(acts.scale.factor)
    assert seen[1::2] == by_hand(LOSSES) == [1, 1, 0.5, 1 * 0.5, 0.5, 0.25]


def test_a_plateau_asks_all_ranks_once_in_a_window():
    acts, asked = OnPlateau("it", 0.5, 3), []
    for _ in range(7):
        acts.sees(torch.tensor(1.0), lambda value: asked.append(1) or float(value))
    assert len(asked) == 2


def wild(step):
    return {30: 1e3, 33: 1e3, 45: math.nan}.get(step, 1.0 + 0.1 * (step % 3))


def test_on_noise():
    """Norms of all ten times the median drop it once, then it rests; what is not finite drops it too."""
    seen = factors(OnNoise("it", 0.5, 10), 50, wild)
    assert seen[:30] == [1.0] * 30
    assert seen[30:45] == [0.5] * 15, "the step itself is the first to be shorter; the next outlier falls into the rest"
    assert seen[45:] == [0.25] * 5


def test_noise_is_told_from_a_steady_fit():
    norms = [1.0 + (7 * step % 11) / 4 for step in range(200)]
    assert max(norms) < 10 * median(norms)
    assert set(factors(OnNoise("it", 0.5, 10), 200, lambda step: norms[step])) == {1.0}


def test_noise_survives_a_checkpoint():
    first, second = OnNoise("it", 0.5, 10), OnNoise("it", 0.5, 10)
    seen = factors(first, 32, wild)
    second.load_state_dict(first.state_dict())
    assert seen + factors(second, 18, lambda step: wild(step + 32)) == factors(OnNoise("it", 0.5, 10), 50, wild)


def test_in_a_closure_the_wild_step_itself_is_shorter():
    weight = nn.Parameter(torch.zeros(1))
    optimizer, acts = torch.optim.SGD([weight], lr=1.0), OnNoise("it", 0.5, 10)
    acts.attach(optimizer)

    def step(gradient):
        before = weight.item()

        def closure():
            weight.grad = torch.tensor([gradient])

        optimizer.step(closure)
        return before - weight.item()

    assert [step(1.0) for _ in range(20)] == [1.0] * 20
    assert step(100.0) == 50.0
    assert optimizer.param_groups[0]["lr"] == 1.0
