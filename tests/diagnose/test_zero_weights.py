import math
from dataclasses import replace

from tests.diagnose.made import answer, causes, found, layer, net, weight
from tests.reference.records import chain, frame, reading

CUT = (weight("head"), weight("net.0", 0.1, 0.0))


def stopped(layer):
    """The gradient ends in that layer's weights."""
    plain = chain(0.0, 0.0, 0.0)
    segments = tuple(replace(s, decades=-math.inf) if layer in s.modules else s for s in plain.segments)
    return replace(plain, segments=segments)


def test_weights_of_zero():
    one = frame(5, stopped("net.2"), parameters=(weight("net.2", 0.0), weight("net.0", 0.1, 0.0)))
    told = answer("GW304", found("disconnected", "zero"), one, net())
    assert told.holds
    assert "net.2 are all alike" in told.sentence
    assert next(iter(causes(found("disconnected", "zero"), one, net()))) == "GW304"


def test_older_recordings_know_the_spread_only():
    one = frame(5, stopped("net.2"), parameters=(reading("net.0.weight", 0.0),))
    assert answer("GW304", found("disconnected", "zero"), one, net(2, 0.1, layer("net.2", 0.0))).holds


def test_weights_that_are_drawn():
    one = frame(5, stopped("net.2"), parameters=CUT)
    assert not answer("GW304", found("disconnected", "zero"), one, net()).holds


def test_normalisations_begin_all_alike():
    norm = layer("norm", 0.0, "BatchNorm1d", "norm")
    assert not answer("GW304", found("disconnected", "zero"), frame(5, parameters=CUT), net(3, 0.1, norm)).holds


def test_no_gradient_at_all_is_another_rule_s():
    assert answer("GW304", found("disconnected", "disconnected"), frame(5, parameters=CUT), net()) is None
    assert answer("GW304", found("dead_units", "dead_units"), frame(5, parameters=CUT), net()) is None


def test_a_head_that_began_at_zero_is_not_blamed_for_a_gradient_that_fades():
    one = frame(5, chain(*[-0.6] * 10))
    assert not answer("GW304", found("vanishing", "vanishing:loss"), one, net(3, 0.1, layer("gate", 0.0))).holds
