"""When the length of a gradient is the trouble."""

from __future__ import annotations

import pytest

from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies.clip_gradients import ClipGradients
from tests.remedies.findings import cause, finding, stack

RULE = ClipGradients()


@pytest.mark.parametrize("kind", ["recurrence", "data", "learning_rate"])
def test_for_what_explodes_or_breaks(kind):
    said = RULE.weigh(finding(cause(kind), kind=Kind.EXPLODING), stack())
    assert "gradient_clip_val" in said.advice
    assert RULE.weigh(finding(cause(kind), kind=Kind.NONFINITE), stack()) == said


@pytest.mark.parametrize("kind", [Kind.VANISHING, Kind.STALLED, Kind.SATURATION])
def test_a_gradient_that_is_too_small_is_not_clipped(kind):
    assert RULE.weigh(finding(cause("recurrence"), kind=kind), stack()) is None


def test_growth_along_depth_is_not_cured_by_it():
    assert RULE.weigh(finding(cause("initialization"), kind=Kind.EXPLODING), stack()) is None
