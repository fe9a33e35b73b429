import math

import pytest

from lightning_gradwatch.records import TimeProfile
from tests.diagnose.made import answer, causes, found, layer, net, op, past
from tests.reference.records import chain, frame, reading

LOST, GREW = found("vanishing", "vanishing_in_time:loss:rnn", "rnn"), found("exploding", "exploding_in_time:loss:rnn")
RNN = net(0, 0.1, layer("rnn", 0.08, "RNN", "recurrent", (25, 25)))


def times(first, steps=21):
    return TimeProfile(
        ledger="loss", layer="rnn", decades=tuple(first * (1 - i / (steps - 1)) for i in range(steps)), steps=steps
    )


def test_each_step_passes_a_factor():
    """6 decades over 20 steps: half of the gradient each; weights of 0.08 and width 25 have a factor of 0.4."""
    told = answer("GW502", LOST, frame(9, times=(times(-6.0),)), RNN)
    assert told.weight == pytest.approx(6.0)
    assert told.sentence == (
        "each of 21 time steps of rnn passes 0.5 of the gradient: its recurrent weights' factor is about 0.4"
    )
    assert causes(LOST, frame(9, chain(-3.0, -3.0), times=(times(-6.0),)), RNN) == {"GW502": 1.0}


def test_the_weights_of_now_count_and_slopes_are_said():
    parameters = (reading("rnn.weight_hh_l0", weight=0.3, fan=25),)
    operations = (op("rnn", slope=0.4),)
    one = frame(9, times=(times(-6.0),), parameters=parameters, operations=operations)
    assert answer("GW502", LOST, one, RNN).sentence.endswith("its activation has 40% of its largest slope")


def test_gates_that_are_shut():
    gates = (op("rnn", "Sigmoid", slope=0.02, gates=True),)
    assert "gates are decided" in answer("GW502", LOST, frame(9, times=(times(-6.0),), operations=gates), RNN).sentence


def test_an_underflow_counts_as_far_as_it_was_seen():
    faded = TimeProfile(ledger="loss", layer="rnn", decades=(-math.inf, -38.0, -20.0, 0.0), steps=4)
    assert answer("GW502", LOST, frame(9, times=(faded,)), RNN).weight == 38.0


def test_flat_profiles_and_other_findings():
    assert not answer("GW502", LOST, frame(9, times=(times(0.0),)), RNN).holds
    assert answer("GW502", found("vanishing", "vanishing:loss"), frame(9, times=(times(-6.0),)), RNN) is None
    assert answer("GW502", LOST, frame(9), RNN) is None


def test_growth():
    told = answer("GW503", GREW, frame(9, times=(times(6.0),)), RNN)
    assert told.weight == pytest.approx(6.0)
    assert "multiplies the gradient by 2" in told.sentence
    assert causes(GREW, frame(9, times=(times(6.0),)), RNN) == {"GW503": 1.0}


def test_growth_through_time_explains_an_explosion_over_the_fit():
    over = found("exploding", first=6)
    assert next(iter(causes(over, frame(9, times=(times(6.0),)), RNN, past(updates=[0.1] * 8)))) == "GW503"
    assert not answer("GW503", over, frame(9, times=(times(0.2),)), RNN).holds


def test_nothing_recurrent():
    assert answer("GW503", GREW, frame(9), RNN) is None


def test_recurrent_weights_alone_tell_where_no_step_was_measured():
    """0.5 x sqrt(25): a factor of 2.5 at every step."""
    wild = net(0, 0.1, layer("rnn", 0.5, "RNN", "recurrent", (25, 25)))
    broken = found("nonfinite", first=2)
    told = answer("GW503", broken, frame(2), wild)
    assert "multiply by about 2.5 at every time step" in told.sentence
    lost = TimeProfile(ledger="loss", layer="rnn", decades=(math.nan,), steps=1)
    assert answer("GW503", broken, frame(2, times=(lost,)), wild) == told
    assert not answer("GW503", broken, frame(2), RNN).holds
    assert answer("GW503", broken, frame(2), net()) is None
