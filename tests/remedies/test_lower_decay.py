"""Weights that decay has shrunk."""

from __future__ import annotations

from dataclasses import replace

from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.lower_decay import LowerDecay
from tests.remedies.findings import cause, finding, stack

FADED = replace(cause("learning_rate", 0.9), code="GW604")


def test_comes_first_where_decay_is_to_blame():
    for kind in (Kind.VANISHING, Kind.STALLED):
        told = [remedy.name for remedy in prescribe(finding(FADED, cause("depth", 0.1), kind=kind), stack())]
        assert told[0] == "LowerDecay"
        assert "RaiseRate" not in told


def test_is_silent_where_the_rate_is():
    assert LowerDecay().weigh(finding(cause("learning_rate")), stack()) is None
