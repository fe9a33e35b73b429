"""What the catalogue says of its networks, against an independent measurement in float64."""

import pytest
import torch

from lightning_gradwatch.cases.catalogue import CASES, find
from lightning_gradwatch.cases.fitting import fit
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import CauseKind, Kind
from tests.cases.autograd import decades_by_kind, depth_decades, mean_slope, time_decades

SEEDS = (0, 1)
BY_WEIGHTS_OR_ACTIVATION = (CauseKind.ACTIVATION, CauseKind.INITIALIZATION)
everyone = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def flow(network, seed=0):
    return time_decades(network, seed) if hasattr(network, "recurrent") else depth_decades(network, seed)


@everyone
@pytest.mark.parametrize("seed", SEEDS)
def test_gradient_vanishes_where_the_case_says_so_and_only_there(case, seed):
    assert (flow(case.network(seed), seed) < -3) == (case.expected is Kind.VANISHING)


@everyone
def test_so_it_is_after_the_steps_of_the_case(case):
    network = fit(case).module.network
    assert (flow(network) < -3) == (case.expected is Kind.VANISHING)
    if case.expected is Kind.VANISHING and case.expected_cause in BY_WEIGHTS_OR_ACTIVATION:
        lost = decades_by_kind(network)
        by_activation = lost["activation"] < lost["linear"]
        assert by_activation == (case.expected_cause is CauseKind.ACTIVATION)


@pytest.mark.parametrize("seed", SEEDS)
def test_saturated_case_hides_its_saturation_in_the_sum(seed):
    sick, cure = find("sigmoid-saturated"), find("sigmoid-batchnorm")
    assert mean_slope(sick.network(seed), seed) < 0.35
    assert mean_slope(cure.network(seed), seed) > 0.7
    assert flow(sick.network(seed), seed) > -3


# DESIGN.md section 2: decades lost from the head to layer 0, by kind of operation.
GOLDEN = {
    "sigmoid-default": {"activation": -12.3, "linear": -4.8},
    "sigmoid-xavier": {"activation": -12.6, "linear": 0.2},
    "sigmoid-saturated": {"activation": -19.6, "linear": 18.0},
    "tanh-small": {"activation": -0.1, "linear": -21.8},  # every matrix 0.01 * sqrt(64): 20 times -1.097 decades
    "tanh-xavier": {"activation": -0.8, "linear": 0.1},
    "relu-default": {"activation": -2.9, "linear": -4.8},
    "relu-he": {"activation": -2.8, "linear": 3.2},
    "sigmoid-batchnorm": {"activation": -13.5, "linear": -5.1, "norm": 18.6},
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_table(name):
    measured = decades_by_kind(find(name).network())
    assert measured == pytest.approx(GOLDEN[name], abs=0.6)


@everyone
def test_cure_is_a_healthy_case_and_only_the_sick_have_one(case):
    if case.healthy:
        assert (case.cure, case.expected, case.expected_cause) == (None, None, None)
    else:
        assert find(case.cure).healthy
        assert isinstance(case.expected_cause, CauseKind)


@everyone
def test_network_depends_on_the_seed_alone(case):
    before = torch.get_rng_state()
    first, again, other = (list(case.network(seed).parameters()) for seed in (3, 3, 4))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    assert torch.equal(torch.get_rng_state(), before)


def test_deep_case_is_healthy_when_it_is_shallow():
    deep = find("tanh-deep").build
    torch.manual_seed(0)
    assert depth_decades(deep(depth=20)) > -3


def test_unknown_case_says_which_there_are():
    with pytest.raises(WrongArgument, match=r"got 'relu'\. Available: 'sigmoid-default'.*'lstm-recall'"):
        find("relu")
