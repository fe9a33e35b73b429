import pytest
import torch
from peers import sagemaker
from torch import nn

from tests.benchmarks.peers.fitting import fit, network


def test_vanishing_is_a_mean_below_1e_7():
    assert sagemaker.vanishing(0.99e-7)
    assert not sagemaker.vanishing(1.01e-7)


def test_the_ratio_of_an_update_to_its_weight():
    assert sagemaker.weight_update_ratio(2.0, 0.5) == pytest.approx(0.25)
    assert sagemaker.weight_update_ratio(0.0, 1e-3) == pytest.approx(1e6)  # epsilon 1e-9


def test_dead_where_most_units_are_active_in_less_than_a_hundredth():
    out = torch.zeros(10, 4)
    out[0, :2] = 1.0  # two of four units are active in a tenth
    assert not sagemaker.dead_relu(out)
    out[:, 1] = 0.0
    assert sagemaker.dead_relu(out)


def test_saturated_where_most_nodes_are_outside_the_range():
    entered = torch.full((10, 4), 9.6)
    assert sagemaker.saturated(entered, nn.Tanh())
    assert not sagemaker.saturated(entered, nn.Sigmoid())  # up to 17
    entered[0, :2] = 0.0
    assert not sagemaker.saturated(entered, nn.Tanh())


def test_poor_initialization_by_unlike_variances_or_narrow_gradients():
    even, wide = torch.linspace(-1, 1, 100), torch.linspace(-1, 1, 100)
    assert not sagemaker.poor_initialization([even, 2 * even], [wide])
    assert sagemaker.poor_initialization([even, 4 * even], [wide])  # a ratio of 16
    assert sagemaker.poor_initialization([even], [5e-4 * wide])  # p95 - p5 is 9e-4


@pytest.mark.parametrize(("now", "rings"), [(0.9, False), (0.9995, True), (1.04, False), (1.06, True)])
def test_a_loss_that_does_not_fall(now, rings):
    assert sagemaker.loss_not_decreasing([1.0] * 10 + [now]) is rings


def test_a_loss_is_not_judged_before_ten_steps():
    assert not sagemaker.loss_not_decreasing([1.0] * 10)


def test_in_a_fit_of_twelve_sigmoids_it_rings_at_step_0():
    peer = sagemaker.SageMaker()
    fit(network(14, nn.Sigmoid), [peer], steps=3)
    assert peer.alarms[0] == (0, "vanishing")
    assert peer.cause is None


def test_all_rules_ring_more_often_than_the_rules_of_gradients():
    peer, everything = sagemaker.SageMaker(), sagemaker.SageMakerAll()
    fit(network(2), [peer, everything], steps=30, rate=0.5)
    assert {word for _, word in peer.alarms} <= {word for _, word in everything.alarms}
    assert "loss" in {word for _, word in everything.alarms}
