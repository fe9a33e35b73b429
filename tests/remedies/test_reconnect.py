"""Paths that are cut."""

from __future__ import annotations

from dataclasses import replace

from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies.reconnect import Reconnect
from tests.remedies.findings import cause, finding, stack


def test_in_the_graph_and_in_the_optimizer():
    cut = Reconnect().weigh(finding(cause("disconnected"), kind=Kind.DISCONNECTED), stack())
    assert "detach()" in cut.advice
    unowned = replace(cause("disconnected"), code="GW212")
    said = Reconnect().weigh(finding(unowned, kind=Kind.DISCONNECTED), stack())
    assert "model.parameters()" in said.advice


def test_paths_that_are_whole():
    assert Reconnect().weigh(finding(cause("depth")), stack()) is None
