"""Copies that make one measured step each, under the same conditions."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.verify.bench import Bench
from lightning_gradwatch.verify.interventions import Change
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.subject import Subject
from tests.verify.proofs import digits


@pytest.fixture
def ground():
    with own_ground(0):
        yield


def bench(network, weights=None):
    return Bench(Subject(network, 1, 0).another, Objective(), digits(), 0, weights)


def test_every_copy_meets_the_same_random_numbers(ground):
    made = bench(nn.Sequential(nn.Linear(64, 64), nn.Dropout(), nn.ReLU(), nn.Linear(64, 10)))
    nothing = Change(told=lambda: "nothing")
    first, second = (made.after(made.copy(), nothing) for _ in range(2))
    assert first.ledgers == second.ledgers == made.before.ledgers
    assert first.loss == made.before.loss
    assert made.before is made.before, "it is measured once"


def test_a_change_of_the_batch_reaches_the_copy_alone(ground):
    made = bench(mlp(2, activation="tanh"))
    zero = Change(told=lambda: "", batch=lambda batch: (batch[0] * 0, batch[1]))
    assert made.after(made.copy(), zero).loss != made.before.loss
    assert made.after(made.copy(), Change(told=lambda: "")).loss == made.before.loss


def test_copies_are_brought_to_another_state(ground):
    network, other = mlp(2, activation="tanh"), mlp(2, activation="tanh", init="xavier")
    made = bench(network, other.state_dict())
    assert torch.equal(made.copy()[0].weight, other[0].weight)
    assert made.before.loss == bench(other).before.loss


def test_in_float64_nothing_underflows(ground):
    made = bench(mlp(100, activation="sigmoid"))
    assert made.before.ledgers[0].end == -float("inf")
    exact = made.precise()
    assert exact.copy()[0].weight.dtype is torch.float64
    assert -100 < exact.before.ledgers[0].end < -50
    assert made.before.ledgers[0].end == -float("inf"), "the bench itself stays what it is"


def test_a_branch_has_a_ledger_from_the_second_look_on(ground):
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.deep = nn.Sequential(*[nn.Linear(64, 64) for _ in range(14)])
            self.sick = nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(64, 64), nn.Sigmoid())])
            self.head = nn.Linear(128, 10)
            for layer in self.deep:
                nn.init.orthogonal_(layer.weight)

        def forward(self, x):
            return self.head(torch.cat([self.deep(x), self.sick(x)], 1))

    frame = bench(Beside()).before
    assert [branch.target_layer for branch in frame.branches] == ["sick.0"]
