"""Steps on a copy: the frames that a fit would give."""

import torch
from torch import nn

from lightning_gradwatch import LoopWatch
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.rehearsal import Rehearsal, device_of

BATCHES = [(torch.randn(8, 4), torch.randn(8, 2)) for _ in range(3)]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))


def test_frames_are_those_of_a_fit():
    """The same numbers as a watch over a loop that does the same."""
    rehearsal = Rehearsal(network(), Objective(), 3)
    frames = [rehearsal.step(batch) for batch in BATCHES]
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with LoopWatch(model, optimizer, verbose=False) as watch:
        for x, y in BATCHES:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            with watch.step(loss):
                loss.backward()
                optimizer.step()
    watched = watch.report.frames
    assert len(frames) == len(watched) == 3
    for ours, theirs in zip(frames, watched, strict=True):
        assert (ours.step, ours.loss, ours.rates) == (theirs.step, theirs.loss, theirs.rates)
        assert ours.ledgers == theirs.ledgers
        assert ours.parameters == theirs.parameters
        assert ours.moved


def test_a_look_without_a_step_moves_nothing():
    model = network()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    Rehearsal(model, Objective(), 3).peek(BATCHES[0])
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_what_is_frozen_is_neither_trained_nor_read():
    model = network()
    model[0].requires_grad_(False)
    frame = Rehearsal(model, Objective(), 3).step(BATCHES[0])
    assert [reading.name for reading in frame.parameters] == ["2.weight", "2.bias"]


def test_the_optimizer_in_words():
    assert Rehearsal(network(), Objective(), 3).optimizer == "Adam"


def test_a_network_is_where_its_parameters_are():
    assert device_of(nn.Linear(1, 1, device="meta")).type == "meta"
    assert device_of(nn.ReLU()).type == "cpu"


def test_a_branch_and_a_fault_stand_in_the_frame():
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.deep = nn.Sequential(*[nn.Linear(8, 8) for _ in range(14)])
            self.sick = nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(8, 8), nn.Sigmoid())])
            self.head = nn.Linear(16, 3)
            for layer in self.deep:
                nn.init.orthogonal_(layer.weight)

        def forward(self, x):
            return self.head(torch.cat([self.deep(x), self.sick(x)], 1))

    batch = torch.rand(32, 8), torch.randint(3, (32,))
    first = Rehearsal(Beside(), Objective(), 2).step(batch)
    assert not first.branches
    told = Rehearsal(Beside(), Objective(), 2, first).step(batch)
    assert [branch.target_layer for branch in told.branches] == ["sick.0"]
    broken = Objective(lambda out, b: (out.sum() * 0).log())
    assert Rehearsal(Beside(), broken, 1).step(batch).fault.operation == "Log"
