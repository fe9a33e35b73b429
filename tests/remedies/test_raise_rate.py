"""Fits that do not move."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.raise_rate import RaiseRate
from tests.remedies.findings import cause, finding, stack

RULE = RaiseRate()
STALLED = finding(cause("learning_rate"), kind=Kind.STALLED)


def test_larger_steps():
    assert RULE.weigh(STALLED, stack()).title == "a higher learning rate"


def test_a_smaller_eps_where_that_is_to_blame():
    near = finding(replace(cause("learning_rate"), code="GW603"), kind=Kind.STALLED)
    assert "1e-12" in RULE.weigh(near, stack()).advice


def test_never_for_what_explodes():
    assert RULE.weigh(finding(cause("learning_rate"), kind=Kind.EXPLODING), stack()) is None


def test_a_fit_that_stalls_is_not_told_to_decay():
    assert "DecayLR" not in [remedy.name for remedy in prescribe(STALLED, stack())]


def test_the_arguments_suit_what_is_to_blame():
    near = finding(replace(cause("learning_rate"), code="GW603"), kind=Kind.STALLED)
    assert repr(RULE.tailored(near, stack())) == "RaiseRate(1.0, eps=1e-12)"
    assert RULE.tailored(STALLED, stack()) is RULE


def test_eps_of_groups_that_have_a_larger_one():
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    groups = [{"params": net[0].parameters()}, {"params": net[1].parameters(), "eps": 1e-15}]
    optimizer = torch.optim.Adam(groups, lr=0.1)
    applied = RaiseRate(1.0, eps=1e-12).apply(net, optimizer)
    assert applied.did == ("Adam: eps is 1e-12 instead of 1e-08.",)
    assert [group["eps"] for group in optimizer.param_groups] == [1e-12, 1e-15]
    assert not optimizer._optimizer_step_pre_hooks
    applied.undo()
    assert [group["eps"] for group in optimizer.param_groups] == [1e-8, 1e-15]
    left = RaiseRate(1.0, eps=1e-12).apply(net, torch.optim.SGD(net.parameters(), lr=0.1)).left
    assert left == ("SGD has no eps above 1e-12.",)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"factor": 0.5}, "`factor` must be a number of at least 1"),
        ({"eps": 0.0}, "`eps` must be a number above 0, or None"),
    ],
    ids=str,
)
def test_arguments_that_are_none(options, says):
    with pytest.raises(WrongArgument, match=says):
        RaiseRate(**options)


@pytest.mark.parametrize(
    ("treatment", "how"),
    [
        (RaiseRate(5.0), "multiply the rate by 5, in the optimizer and in its schedule."),
        (RaiseRate(1.0, eps=1e-12), "give the optimizer eps=1e-12."),
        (
            RaiseRate(2.0, eps=1e-12),
            "multiply the rate by 2, in the optimizer and in its schedule, and give the optimizer eps=1e-12.",
        ),
    ],
)
def test_how_it_is_done_by_hand(treatment, how):
    assert treatment.how == how
