import math
from dataclasses import replace

import pytest

from lightning_gradwatch.diagnose.blame import blame_dead, blame_flat, blame_gates, blame_segments
from tests.diagnose.made import XAVIER, causes, found, given, net, op, past, weight
from tests.reference.records import frame, reading

FLAT = found("saturation", None, "net.0", "net.1")
OPS = (op("net.0", slope=0.01), op("net.1", slope=0.01))


def flat(std=XAVIER, rms=1.0, history=None, operations=OPS, parameters=None):
    one = frame(20, given(rms), operations=operations, parameters=parameters)
    told = blame_flat(FLAT, one, net(std=std), history or past(slopes={"net.0": 0.01, "net.1": 0.01}))
    return told and {"activation": told.activation, "weights": told.weights, "data": told.data, "rate": told.rate}


def only(**who):
    return pytest.approx({"activation": 0.0, "weights": 0.0, "data": 0.0, "rate": 0.0, **who})


def test_weights_that_were_large_from_the_start():
    assert flat(std=10 * XAVIER) == only(weights=4.0)


def test_an_input_that_is_large_reaches_the_first_layer_only_where_that_bounds_it():
    assert flat(rms=100.0) == only(data=2.0, activation=2.0)
    unbounded = (op("net.0", "Relu"), op("net.1", slope=0.01))
    assert flat(rms=100.0, operations=unbounded) == only(data=2.0)


def test_weights_and_input_share_by_decades():
    """Weights 10 times too large beside an input of 100: 1 decade beside 2 at the first layer, 1 beside 0 above it."""
    assert flat(std=10 * XAVIER, rms=100.0) == only(weights=2.0 / 3 + 2.0, data=4.0 / 3)


def test_layers_that_were_open_and_leapt():
    opened = past(slopes={"net.0": 0.9, "net.1": 0.9}, boldest=(0.6, "net.0.weight", 4))
    assert flat(history=opened) == only(rate=4.0)


@pytest.mark.parametrize(("rate", "code"), [(0.1, "GW302"), (1.0, "GW601")], ids=["by somebody", "by a raised rate"])
def test_weights_that_grew_at_once_and_not_by_a_bold_step(rate, code):
    history = past(slopes={"net.0": 0.9, "net.1": 0.9}, weights={"net.0.weight": XAVIER, "net.1.weight": XAVIER})
    history.beginning = replace(history.beginning, rate=0.1)
    history.top_rate, history.flattened = rate, {"net.0": 19, "net.1": 19}
    grown = (weight("net.0", size=5 * XAVIER), weight("net.1", size=5 * XAVIER))
    one = frame(20, given(1.0), operations=OPS, parameters=grown)
    assert next(iter(causes(FLAT, one, history=history))) == code


def test_layers_that_were_open_and_whose_weights_grew():
    grew = past(slopes={"net.0": 0.9, "net.1": 0.9}, weights={"net.0.weight": 0.1, "net.1.weight": 0.1})
    assert flat(history=grew, parameters=(weight("net.0", 0.4), weight("net.1", 0.1))) == only(rate=2.0, activation=2.0)


def test_nobody_else():
    assert flat() == only(activation=4.0)


def test_no_slopes_no_blame():
    assert flat(operations=()) is None


def test_segments_of_a_ledger():
    told = blame_segments([("net.0", 1.5)], given(1.0), frame(0), net(std=10 * XAVIER), past(slopes={"net.0": 0.1}))
    assert (told.weights, told.factor, told.began) == (pytest.approx(1.5), pytest.approx(10.0), 0.1)


@pytest.mark.parametrize(
    ("began", "std", "rms", "who"),
    [
        (0.95, XAVIER, 1.0, "weights"),
        (0.95, XAVIER, 100.0, "data"),
        (0.95, 10 * XAVIER, 1.0, "weights"),
        (0.05, 10 * XAVIER, 100.0, "rate"),
        (None, XAVIER, 1.0, "activation"),
    ],
    ids=["biases", "input", "weights", "died later", "not known"],
)
def test_units_that_died(began, std, rms, who):
    finding = found("dead_units", None, "net.0")
    one = frame(20, given(rms), operations=(op("net.0", "Relu", dead=0.9, silent=0.9),))
    told = blame_dead(finding, one, net(std=std), past(dead={} if began is None else {"net.0": began}))
    assert getattr(told, who) == 1.0
    assert math.fsum((told.activation, told.weights, told.data, told.rate)) == 1.0


def test_units_that_nobody_measured():
    assert blame_dead(found("dead_units"), frame(0), net(), past()) is None


@pytest.mark.parametrize(("first", "who"), [(0, "weights"), (5, "rate")], ids=["from the start", "later"])
def test_a_dead_path_whose_units_nobody_measured_tells_by_its_first_step(first, who):
    finding = found("dead_units", "zero", "net.0", first=first)
    plain = given(1.0, -math.inf, activation="Relu")
    dead = replace(plain, segments=tuple(replace(s, dead=1.0 if s.slope else None) for s in plain.segments))
    assert getattr(blame_dead(finding, frame(9, dead), net(), past()), who) == 1.0


GATES = found("saturation", "saturation:rnn.weight_hh_l0", "rnn")


def gates(now):
    return frame(20, parameters=(reading("rnn.weight_hh_l0", fan=64, weight=now),))


@pytest.mark.parametrize(("began", "code"), [(1.25, "GW302"), (0.05, "GW601")], ids=["from the start", "grown since"])
def test_gates_of_a_fused_layer(began, code):
    """Weights of 1.25 over 64 units are 10 times Xavier's: one decade."""
    history = past(weights={"rnn.weight_hh_l0": began})
    told = blame_gates(GATES, gates(1.25), history)
    assert (told.weights, told.rate) == pytest.approx((1.0, 0.0) if began > 1 else (0.0, math.log10(25)))
    assert next(iter(causes(GATES, gates(1.25), history=history))) == code


def test_gates_whose_beginning_is_not_known():
    assert blame_gates(GATES, gates(1.25), past()) is None
    assert blame_gates(GATES, frame(20), past(weights={"rnn.weight_hh_l0": 1.0})) is None
