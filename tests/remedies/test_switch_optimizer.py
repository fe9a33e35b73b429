"""What Adam does and what it does not do."""

from __future__ import annotations

from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies.switch_optimizer import SwitchOptimizer
from tests.remedies.findings import cause, finding, stack

RULE = SwitchOptimizer()


def test_for_a_vanishing_gradient_it_says_its_limits():
    said = RULE.weigh(finding(cause("depth")), stack())
    assert "beside another remedy" in said.advice
    assert "brings nothing back" in said.reason
    assert said.fit < 0.5


def test_against_a_learning_rate_it_does_more():
    said = RULE.weigh(finding(cause("learning_rate"), kind=Kind.EXPLODING), stack())
    assert "brings nothing back" not in said.reason
    assert said.fit > 0.5
