import pytest
import torch
from peers import thedeepchecker
from torch import nn

from tests.benchmarks.peers.fitting import fit, network


@pytest.mark.parametrize(
    ("means", "rings"),
    [([1e-7], True), ([1e-5], False), ([16, 8, 4, 2, 1], True), ([16, 8, 4, 2, 1.1], False), ([8, 4, 2, 1], False)],
    ids=["below 1e-6", "above", "halves four times", "not the last time", "three times only"],
)
def test_vanishing(means, rings):
    assert thedeepchecker.vanishing(means) is rings


def test_exploding_and_diverging():
    assert thedeepchecker.exploding([2e6])
    assert thedeepchecker.exploding([1, 2, 4, 8, 16])
    assert not thedeepchecker.exploding([1, 2, 4, 8, 15])
    assert not thedeepchecker.diverging([2e6])
    assert thedeepchecker.diverging([2e8])


def test_a_neuron_is_dead_where_95_percent_are_next_to_0():
    outputs = torch.zeros(2, 100)
    outputs[0, :6] = 1.0
    assert thedeepchecker.dead_share(outputs) == 0.5
    outputs[0, 5] = 0.0
    assert thedeepchecker.dead_share(outputs) == 1.0


def test_saturation_is_1_at_the_ends_and_0_in_the_middle():
    outputs = torch.tensor([[-1.0, 1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0], [0.5, 0.5, -0.5, -0.5]])
    assert thedeepchecker.saturation(outputs, -1.0, 1.0).tolist() == pytest.approx([1.0, 0.0, 0.5])
    assert thedeepchecker.saturated_share(outputs, nn.Tanh()) == pytest.approx(1 / 3)


def test_spread_needs_the_bounds_and_the_f_ratio():
    unit = torch.tensor([-1.0, 1.0]) / 2**0.5  # deviation 1
    assert not thedeepchecker.spread_fails(unit)
    assert not thedeepchecker.spread_fails(3 * unit)  # (3/2)^2 = 2.25
    assert thedeepchecker.spread_fails(4 * unit)  # 4
    assert thedeepchecker.spread_fails(0.25 * unit)


def test_it_is_asked_from_the_tenth_iteration_on():
    peer = thedeepchecker.TheDeepChecker()
    fit(network(14, nn.Sigmoid), [peer], steps=12)
    assert peer.alarms[0] == (10, "vanishing")


def test_weights_that_never_move_are_untrained():
    peer = thedeepchecker.TheDeepChecker()
    fit(network(1), [peer], steps=11, rate=0.0)
    assert peer.alarms == [(10, "stalled")]


def test_all_rules_call_small_changes_slow():
    peer, everything = thedeepchecker.TheDeepChecker(), thedeepchecker.TheDeepCheckerAll()
    fit(network(1, nn.Tanh), [peer, everything], steps=11, rate=1e-5)
    assert peer.alarms == []
    assert (10, "stalled") in everything.alarms
