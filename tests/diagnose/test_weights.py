import math

import pytest

from lightning_gradwatch.diagnose import weights
from lightning_gradwatch.records import Anatomy
from tests.diagnose.made import XAVIER, layer, net, past, weight
from tests.reference.records import frame, reading

FRAME = frame(0, parameters=(weight("net.0", 0.5), reading("net.0.bias", 1.0, weight=9.0), weight("net.1", 0.25)))


def test_now_is_the_matrix_not_the_bias():
    assert weights.now(FRAME, "net.0") == 0.5
    assert weights.now(FRAME, "elsewhere") is None


def test_at_start_prefers_what_was_measured():
    history = past(weights={"net.0.weight": 0.2})
    assert weights.at_start(history, net(std=0.1), "net.0") == 0.2
    assert weights.at_start(history, net(std=0.1), "net.1") == 0.1
    assert weights.at_start(past(), Anatomy(), "net.0") is None


def test_of_a_recurrent_layer_the_recurrent_weight_counts():
    history = past(weights={"rnn.weight_ih_l0": 0.2, "rnn.weight_hh_l0": 0.7})
    assert weights.at_start(history, Anatomy(), "rnn") == 0.7


def test_xavier_of_a_shape():
    assert weights.xavier(layer("a", fans=(64, 64))) == XAVIER
    assert weights.xavier(layer("a", fans=(None, None))) is None


@pytest.mark.parametrize(("std", "decades"), [(1.25, 1.0), (XAVIER, 0.0), (0.0125, -1.0)])
def test_excess_is_decades_above_xavier(std, decades):
    assert weights.excess(past(), net(std=std), "net.0") == pytest.approx(decades)
    assert weights.usual_excess(past(), net(std=std)) == pytest.approx(decades)


@pytest.mark.parametrize("std", [None, 0.0, math.inf])
def test_excess_is_not_known(std):
    assert weights.excess(past(), net(std=std), "net.0") is None
    assert weights.usual_excess(past(), net(std=std)) is None


def test_growth_since_the_first_step():
    history = past(weights={"net.0.weight": 0.25, "net.1.weight": 0.25, "net.2.weight": 0.0})
    assert weights.grown(FRAME, history, "net.0") == 2.0
    assert weights.usual_growth(FRAME, history) == 1.5
    assert weights.grown(FRAME, past(), "net.0") is None
    assert weights.usual_growth(FRAME, past()) is None
