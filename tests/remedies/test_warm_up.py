"""When small steps at first help."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies.warm_up import WarmUp
from tests.remedies.findings import cause, finding, stack

RULE = WarmUp()


@pytest.mark.parametrize(
    ("kind", "sickness", "applies"),
    [
        ("normalization", Kind.VANISHING, True),
        ("learning_rate", Kind.EXPLODING, True),
        ("learning_rate", Kind.SATURATION, True),
        ("learning_rate", Kind.VANISHING, False),
        ("learning_rate", Kind.STALLED, False),
        ("depth", Kind.VANISHING, False),
    ],
)
def test_for_steps_that_are_too_large_at_first(kind, sickness, applies):
    assert (RULE.weigh(finding(cause(kind), kind=sickness), stack()) is not None) is applies


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (torch.optim.Adam, 2000),
        (lambda p: torch.optim.AdamW(p, betas=(0.9, 0.99)), 200),
        (lambda p: torch.optim.SGD(p, lr=0.1), 100),
    ],
    ids=["Adam", "a faster beta2", "SGD"],
)
def test_auto_is_two_lives_of_the_second_moment(make, steps):
    net = nn.Linear(1, 1)
    applied = WarmUp("auto").apply(net, make(net.parameters()))
    assert f"over {steps} steps" in applied.did[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": 0}, "`steps` must be a whole number of at least 1"),
        ({"steps": "soon"}, "`steps` must be one of the words below"),
        ({"start": 0.0}, "`start` must be a number above 0 and below 1"),
        ({"start": 1.0}, "`start` must be a number above 0 and below 1"),
    ],
    ids=str,
)
def test_arguments_that_are_none(options, says):
    with pytest.raises(WrongArgument, match=says):
        WarmUp(**options)


def test_the_lines_for_the_users_own_program():
    assert "LinearLR(optimizer, 0.05, total_iters=30)" in WarmUp(30, start=0.05).advice(nn.Linear(1, 1))
