"""What the network is given is standardised, what it is to say is not."""

import pytest
import torch

from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.verify.interventions.standard_input import standard_input
from tests.verify.proofs import digits, finding, scene, tried

X, Y = torch.rand(16, 64) * 300 + 50, torch.rand(16, 10)
BATCHES = {
    "pair": ((X, Y), lambda b: b[0], lambda b: b[1]),
    "list": ([X, Y], lambda b: b[0], lambda b: b[1]),
    "dict": ({"x": X, "labels": Y}, lambda b: b["x"], lambda b: b["labels"]),
    "alone": (X, lambda b: b, None),
}


@pytest.mark.parametrize(("batch", "given", "wanted"), BATCHES.values(), ids=BATCHES)
def test_the_input_and_only_the_input(batch, given, wanted):
    change = standard_input(scene(mlp(2, activation="tanh")))
    changed = change.batch(batch)
    assert float(given(changed).mean()) == pytest.approx(0, abs=1e-4)
    assert float(given(changed).std(correction=0)) == pytest.approx(1, abs=1e-4)
    assert wanted is None or wanted(changed) is Y
    assert change.told() == "the input standardised"


def test_an_input_without_spread_is_no_trial():
    change = standard_input(scene(mlp(2, activation="tanh")))
    change.batch((torch.ones(4, 64), torch.tensor([1, 2, 3, 4])))
    assert change.told() == ""


def test_saturation_by_raw_data_is_proved():
    x, y = digits()
    network = mlp(4, activation="tanh", init="xavier")
    found = tried(network, "GW311", (x * 300 + 100, y), name="saturation", layers=("0",))
    assert found.recovered > 0.8
    assert finding("GW311").causes[0].proof is None
