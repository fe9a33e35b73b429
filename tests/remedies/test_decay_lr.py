"""Decay steadies; it repairs nothing, and says so."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.decay_lr import DecayLR
from tests.remedies.findings import HE, cause, finding, stack, with_layers
from tests.remedies.optimizer_fits import NAMESPACES, fit, module_of

RULE = DecayLR()


@pytest.mark.parametrize("blamed", ["activation", "depth", "initialization", "recurrence", "learning_rate"])
def test_for_a_vanishing_gradient_it_says_that_it_does_not_repair(blamed):
    said = RULE.weigh(finding(cause(blamed)), stack())
    assert "does not repair a dead path" in said.advice
    assert said.fit == 0.05


def test_against_a_learning_rate_it_is_the_cure():
    said = RULE.weigh(finding(cause("learning_rate"), kind=Kind.EXPLODING), stack())
    assert said.fit == 0.9
    assert "repair" not in said.advice


def test_not_first_for_vanishing_even_where_the_rate_is_to_blame():
    told = prescribe(finding(cause("learning_rate")), with_layers(stack("ReLU", std=HE), "BatchNorm1d"))
    assert [remedy.name for remedy in told] == ["SwitchOptimizer", "DecayLR"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"factor": 1.0}, "`factor` must be a number above 0 and below 1"),
        ({"when": "never"}, "`when` must be one of the words below"),
        ({"when": "stepwise"}, '`every_n_steps` must be given with when="stepwise", and only then'),
        ({"every_n_steps": 3}, "`every_n_steps`"),
        ({"when": "stepwise", "every_n_steps": 0}, "`every_n_steps`"),
        ({"patience": 0}, "`patience` must be a whole number of at least 1"),
        ({"min_lr": -1.0}, "`min_lr` must be a number of at least 0"),
    ],
    ids=str,
)
def test_arguments_that_are_none(options, says):
    with pytest.raises(WrongArgument, match=says):
        DecayLR(**options)


def optimizer_of_two(net):
    return torch.optim.SGD([{"params": part.parameters()} for part in net], lr=0.1)


def test_only_the_groups_that_are_asked_for_and_not_below_the_floor():
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    optimizer, seen = optimizer_of_two(net), []
    DecayLR(0.1, min_lr=0.02).apply(net, optimizer, where=["1"])
    optimizer.register_step_pre_hook(lambda one, *_: seen.append([group["lr"] for group in one.param_groups]))
    optimizer.step()
    assert seen == [[0.1, 0.02]]
    optimizer.load_state_dict(optimizer.state_dict())  # exchanges the groups
    optimizer.step()
    assert seen == [[0.1, 0.02]] * 2


def test_a_plateau_is_seen_only_in_a_fit():
    net = nn.Sequential(nn.Linear(1, 1))
    applied = DecayLR(when="plateau").apply(net, optimizer_of_two(net))
    assert not applied
    assert "callback" in applied.left[0]


def test_a_plateau_without_a_loss_is_said_once(caplog):
    def module(pl):
        made = module_of(pl, manual=True)
        made.training_step = lambda batch, batch_idx, step=made.training_step: step(batch, batch_idx) and None
        return made

    treatment = DecayLR(when="plateau", patience=1)
    fit(NAMESPACES[0], treatment, module=module)
    assert caplog.text.count("sees no loss") == 1


def test_two_treatments_of_one_kind_multiply():
    net = nn.Sequential(nn.Linear(1, 1))
    optimizer, seen = optimizer_of_two(net), []
    for factor in (0.5, 0.1):
        DecayLR(factor).apply(net, optimizer)
    optimizer.register_step_pre_hook(lambda one, *_: seen.append(one.param_groups[0]["lr"]))
    optimizer.step()
    assert seen == pytest.approx([0.005])
    assert optimizer.param_groups[0]["lr"] == 0.1
