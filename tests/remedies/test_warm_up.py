"""When small steps at first help."""

from __future__ import annotations

import pytest

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
