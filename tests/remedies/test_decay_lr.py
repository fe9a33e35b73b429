"""Decay steadies; it repairs nothing, and says so."""

from __future__ import annotations

import pytest

from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.decay_lr import DecayLR
from tests.remedies.findings import HE, cause, finding, stack, with_layers

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
