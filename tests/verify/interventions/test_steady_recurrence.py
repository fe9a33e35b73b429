"""Recurrent layers that hand on what they hold."""

import pytest
import torch
from torch import nn
from torch.nn.functional import pad

from lightning_gradwatch.cases import CASES
from lightning_gradwatch.cases.networks import recall
from lightning_gradwatch.verify.interventions.steady_recurrence import steady_recurrence
from tests.verify.proofs import scene, tried


class Loop(nn.Module):
    """A recurrent network by hand."""

    def __init__(self):
        super().__init__()
        self.inner, self.again, self.head = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 10)

    def forward(self, x):
        rows, state = pad(x.view(-1, 8, 8), (0, 0, 0, 24)), torch.zeros(len(x), 32)
        for t in range(rows.shape[1]):
            state = torch.tanh(self.inner(rows[:, t]) + self.again(state))
        return self.head(state)


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.cell(pad(x.view(-1, 8, 8), (0, 0, 0, 40)))[0][:, -1])


SICK = {
    "rnn": (CASES["rnn-recall"].network, "recurrent", "made orthogonal"),
    "loop": (Loop, "again", "made orthogonal"),
    "gru": (Gated, "cell", "gates of 1 layer opened for 48 steps"),
}


@pytest.mark.parametrize(("make", "layer", "said"), SICK.values(), ids=SICK)
def test_the_early_steps_are_reached_again(make, layer, said):
    torch.manual_seed(0)
    found = tried(make(), "GW502", name=f"vanishing_in_time:loss:{layer}", layers=(layer,))
    assert found.recovered > 0.5
    assert said in found.proof


def test_the_matrix_is_the_nearest_orthogonal_one():
    network = recall("rnn", width=16)
    known = scene(network, name="vanishing_in_time:loss:recurrent", layers=("recurrent",))
    steady_recurrence(known)
    old, new = network.recurrent.weight_hh_l0, known.model.recurrent.weight_hh_l0
    assert torch.allclose(new @ new.T, torch.eye(16), atol=1e-5)
    other = torch.linalg.qr(old.detach())[0]
    assert (new - old).norm() < (other - old).norm()


def test_an_explosion_does_not_open_gates():
    known = scene(Gated(), name="exploding_in_time:loss:cell", layers=("cell",))
    assert steady_recurrence(known) is None


def test_without_a_recurrent_layer_there_is_nothing_to_steady():
    network = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
    assert steady_recurrence(scene(network)) is None
