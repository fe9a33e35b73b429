"""Fits that do not move."""

from __future__ import annotations

from dataclasses import replace

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
