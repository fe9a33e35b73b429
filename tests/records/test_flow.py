import math

import pytest

from lightning_gradwatch.records import Ledger
from lightning_gradwatch.records.flow import charged, flow_by_layer, path_to
from tests.reference.records import chain, segment


def test_flow_falls_towards_the_input():
    flow = flow_by_layer(chain(-1.0, -2.0, -3.0, linear=-0.5))
    assert list(flow) == ["head", "net.2", "net.1", "net.0"]
    assert flow == pytest.approx({"head": 0.0, "net.2": -1.5, "net.1": -4.0, "net.0": -7.5})


def test_a_layer_learns_from_its_best_fed_use():
    twice = (segment("a", -1.0), segment("a", -3.0), segment("b", -2.0))
    ledger = Ledger(name="loss", target="c.weight", target_layer="c", segments=twice, start=0.0, end=-6.0)
    assert flow_by_layer(ledger) == {"a": 0.0, "b": -4.0, "c": -6.0}


@pytest.mark.parametrize(
    ("family", "decades", "expected"),
    [("pool", -1.8, 0.0), ("shape", -0.5, 0.0), ("pool", 0.3, 0.3), ("activation", -0.6, -0.6)],
)
def test_averaging_starves_nobody(family, decades, expected):
    assert charged(segment("a", decades, "AvgPool2D", family)) == expected


def test_path_ends_at_the_layer_s_output():
    ledger = chain(-1.0, -2.0, -3.0, linear=-0.5)
    assert math.fsum(s.decades for s in path_to(ledger, "net.1")) == pytest.approx(-4.0)
    assert path_to(ledger, "net.0") == ledger.body
    assert path_to(ledger, "unknown") == ledger.body
