"""Copies in training, treated and not."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lightning_gradwatch import ClipGradients, DecayLR, InsertNormalization, ReplaceActivation, ScaleInput, WarmUp
from lightning_gradwatch.remedies.surgery.at_step import running_on
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.verify.arm import Arm, Origin, copied
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.stage import Midway
from tests.verify.networks import deep, same, state

DATA = [(torch.randn(8, 16) * 30 + 7, torch.randint(2, (8,))) for _ in range(4)]
CROSS_ENTROPY = Objective(lambda output, batch: cross_entropy(output, batch[1]))


def running(kind=torch.optim.SGD, *treatments, **options):
    """A network in the middle of its fit."""
    torch.manual_seed(0)
    model = deep(depth=3)
    optimizer = kind(model.parameters(), lr=0.1, **options)
    for treatment in treatments:
        treatment.apply(model, optimizer)
    return model, optimizer


def trained(model, optimizer, steps, first=0):
    for step in range(first, first + steps):
        x, y = DATA[step % len(DATA)]
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def midway(model, optimizer):
    """Copies of it."""
    return Origin(
        copy=lambda: copied(model, [optimizer]),
        objective=CROSS_ENTROPY,
        batches=DATA,
        seed=0,
        midway=Midway(optimizers=()),
    )


def equal(some, others):
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize(
    "treatments",
    [
        (),
        (WarmUp(10),),
        (DecayLR(0.1), WarmUp(10, where=["0", "2", "4", "6"])),
        (ClipGradients(1e-3),),
        (ClipGradients(1e-3, where=["0"]),),
        (ClipGradients(quantile=0.5),),
        (ClipGradients(mode="agc", agc=1e-4),),
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_a_copy_goes_on_as_the_fit_does_with_all_that_acts_on_its_optimizer(kind, treatments):
    model, optimizer = running(kind, *treatments)
    trained(model, optimizer, 5)
    before = state(model)
    with own_ground(0):
        arm = Arm(midway(model, optimizer))
        arm.train(6)
    assert same(before, state(model))
    assert equal(arm.rehearsal.model.parameters(), trained(model, optimizer, 6))
    told = [one.told for one in running_on(optimizer)]
    assert [one.told for one in running_on(arm.rehearsal.optimizers[0])] == told


def test_what_acts_on_a_copy_counts_for_itself():
    model, optimizer = running(torch.optim.SGD, WarmUp(10))
    with own_ground(0):
        arm = Arm(midway(model, optimizer))
        arm.train(6)
    (mine,), (theirs,) = running_on(optimizer), running_on(arm.rehearsal.optimizers[0])
    assert (mine.steps, theirs.steps) == (0, 6)


def test_a_treated_copy_is_the_treated_fit():
    model, optimizer = running(torch.optim.Adam)
    with own_ground(0):
        arm = Arm(midway(model, optimizer), (InsertNormalization(), WarmUp(10)))
        arm.train(6)
    for treatment in (InsertNormalization(), WarmUp(10)):
        treatment.apply(model, optimizer)
    assert equal(arm.rehearsal.model.parameters(), trained(model, optimizer, 6))
    assert arm.is_changed
    assert arm.parameters == 3 * 2 * 16


@pytest.mark.parametrize("is_running", [False, True])
def test_the_input_is_measured_on_the_batches_of_the_trial(is_running):
    model, optimizer = running()
    origin = midway(model, optimizer)
    if not is_running:
        origin = Origin(
            copy=lambda: (copy.deepcopy(model), None), objective=CROSS_ENTROPY, batches=DATA, seed=0, held=DATA[:1]
        )
    with own_ground(0):
        arm = Arm(origin, (ScaleInput(),))
    scale = arm.rehearsal.model[0].input_scale
    x = torch.cat([batch[0] for batch in DATA])
    assert int(scale.seen)
    torch.testing.assert_close(scale(x).mean(0), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(scale(x).std(0), torch.ones(16), atol=0.02, rtol=0)


def test_what_has_nothing_to_change_is_told():
    model = nn.Linear(16, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with own_ground(0):
        assert not Arm(midway(model, optimizer), (ReplaceActivation("relu"),)).is_changed


def test_a_copy_that_breaks_stops():
    model, optimizer = running()
    with torch.no_grad():
        model[0].weight.fill_(torch.nan)
    with own_ground(0):
        arm = Arm(midway(model, optimizer))
        arm.train(6)
    assert len(arm.losses) == 1


def test_data_is_shared_and_a_graph_left_in_an_attribute_is_cut():
    model = nn.Linear(1, 1)
    model.data = torch.utils.data.TensorDataset(torch.zeros(1))
    model.last = model(torch.ones(1, 1))
    twin, _ = copied(model, [])
    assert twin.data is model.data
    assert torch.equal(twin.last, model.last)
    assert twin.last.grad_fn is None


class Beside(nn.Module):
    """A branch of sigmoids beside one that passes everything."""

    def __init__(self):
        super().__init__()
        self.whole, self.head = nn.Sequential(*[nn.Linear(16, 16) for _ in range(14)]), nn.Linear(32, 2)
        for layer in self.whole:
            nn.init.orthogonal_(layer.weight)
        self.sick = nn.Sequential(*[part for _ in range(6) for part in (nn.Linear(16, 16), nn.Sigmoid())])

    def forward(self, x):
        return self.head(torch.cat([self.whole(x), self.sick(x)], 1))


def test_a_copy_shows_the_branches_that_the_fit_has_shown():
    torch.manual_seed(0)
    model = Beside()
    batches = [(torch.rand(32, 16), torch.randint(2, (32,)))]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    origin = Origin(
        copy=lambda: copied(model, [optimizer]),
        objective=CROSS_ENTROPY,
        batches=batches,
        seed=0,
        midway=Midway(optimizers=()),
    )
    with own_ground(0):
        first = Arm(origin).look()
        told = Arm(replace(origin, previous=first)).look()
    assert not first.branches
    assert [branch.target_layer for branch in told.branches] == ["sick.0"]
