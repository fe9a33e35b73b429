import pytest
import torch
from peers import deepdiagnosis
from peers.base import Observed
from torch import nn

from tests.benchmarks.peers.fitting import fit, network


def test_a_mean_of_exactly_0_is_a_numerical_error():
    assert deepdiagnosis.numerical(torch.tensor([1.0, -1.0]))
    assert deepdiagnosis.numerical(torch.tensor([1.0, float("nan")]))
    assert deepdiagnosis.numerical(torch.tensor([1.0, float("inf")]))
    assert not deepdiagnosis.numerical(torch.tensor([1.0, 2.0]))


def test_dead_from_seven_outputs_in_ten():
    assert deepdiagnosis.dead(torch.tensor([0.0] * 7 + [1.0] * 3))
    assert not deepdiagnosis.dead(torch.tensor([0.0] * 6 + [1.0] * 4))


def test_saturated_where_more_than_half_enter_beyond_5():
    assert deepdiagnosis.saturated(torch.tensor([5.0, -6.0, 0.0]))
    assert not deepdiagnosis.saturated(torch.tensor([5.0, 4.9]))


@pytest.mark.parametrize(
    ("gradient", "bad"), [(1.0, False), (1e-3, True), (11.0, True)], ids=["1e-2", "1e-5 and less", "above 1e-1"]
)
def test_the_rate_is_judged_by_a_plain_step_beside_the_weight(gradient, bad):
    assert deepdiagnosis.bad_rate(0.0099, gradient, 1.0) is bad


def test_its_fix_for_vanishing_is_the_rate_or_else_the_activation():
    peer = deepdiagnosis.DeepDiagnosis()
    good = Observed(0, rate=0.1, gradients={"w": torch.ones(2, 2)}, weights={"w": 10 * torch.ones(2, 2)})
    tiny = Observed(0, rate=0.1, gradients={"w": 1e-6 * torch.ones(2, 2)}, weights={"w": torch.ones(2, 2)})
    assert peer.names_cause("vanishing", good) == "activation"
    assert peer.names_cause("vanishing", tiny) == "learning_rate"
    good.inputs = torch.tensor([0.0, 3.0])
    assert peer.names_cause("dead_units", good) == "data"
    good.inputs = torch.tensor([0.0, 0.3])
    assert peer.names_cause("dead_units", good) == "activation"


def test_it_waits_for_the_end_of_an_epoch_and_stops_at_its_first_hit():
    peer = deepdiagnosis.DeepDiagnosis()
    fit(network(14, nn.Sigmoid), [peer], steps=24)  # epochs of 8 steps
    assert peer.alarms == [(7, "vanishing")]
    assert peer.cause == "learning_rate"


def test_it_is_silent_on_a_fit_that_learns():
    peer = deepdiagnosis.DeepDiagnosis()
    fit(network(1, nn.Tanh), [peer], steps=16)
    assert peer.alarms == []
