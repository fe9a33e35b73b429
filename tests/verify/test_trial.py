"""A trial is two trainings that differ in the remedy alone: its numbers are those of a loop by hand."""

import copy
import math
import random
import statistics

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lightning_gradwatch import Initialize, InsertNormalization, ReplaceActivation, trial
from lightning_gradwatch._lightning import namespace
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.verify.trial import Verdict
from tests.verify.networks import deep, same, state

CURE = [ReplaceActivation("relu"), Initialize("he")]
STEPS = 12


def batches(count=8):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count * 16, 16, generator=generator)
    return list(zip(x.split(16), (x[:, 0] > 0).long().split(16), strict=True))


def noisy():
    """A network that draws random numbers at every step."""
    torch.manual_seed(0)
    return nn.Sequential(deep(depth=4), nn.Identity()).append(nn.Dropout(0.1))


def by_hand(network, trained, held, seed):
    """Losses of a training in plain torch, and those on what is held back."""
    optimizer, losses = torch.optim.Adam(network.parameters(), 1e-3), []
    for step in range(STEPS):
        torch.manual_seed(1_000 * seed + step)
        x, y = trained[step % len(trained)]
        optimizer.zero_grad()
        loss = cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    network.eval()
    with torch.no_grad():
        return losses, [cross_entropy(network(x), y).item() for x, y in held]


@pytest.mark.parametrize("given", [False, True], ids=["every fourth batch is held back", "batches held back are given"])
def test_the_numbers_are_those_of_a_loop_by_hand(given):
    network, data = noisy(), batches()
    held, trained = (data[6:], data[:6]) if given else (data[::4], [b for i, b in enumerate(data) if i % 4])
    verdict = trial(
        network,
        trained if given else data,
        InsertNormalization(),
        steps=STEPS,
        seeds=1,
        held_back=held if given else None,
        loss=lambda output, batch: cross_entropy(output, batch[1]),
    )
    plain, treated = copy.deepcopy(network), copy.deepcopy(network)
    applied = InsertNormalization().apply(treated)
    told = [by_hand(one, trained, held, 0) for one in (plain, treated)]
    assert verdict.loss == pytest.approx([statistics.fmean(losses[-5:]) for losses, _ in told])
    assert verdict.held_loss == pytest.approx([statistics.fmean(lost) for _, lost in told])
    assert verdict.parameters == applied.parameters == 2 * 4 * 16
    assert verdict.did == applied.did


def test_of_several_seeds_each_has_batches_in_another_order_and_weights_of_its_own():
    data, made = batches(), []

    def factory():
        made.append(torch.initial_seed())
        return deep(depth=2)

    verdict = trial(factory, data[:6], CURE, steps=STEPS, seeds=2, held_back=data[6:])
    lost = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = deep(depth=2)
        order = random.Random(seed).sample(range(6), 6) if seed else range(6)
        lost.append(by_hand(network, [data[i] for i in order], data[6:], seed)[1])
    means = [statistics.fmean(one) for one in lost]
    assert verdict.held_loss[0] == pytest.approx(statistics.fmean(means))
    assert verdict.spread[0] == pytest.approx(statistics.stdev(means), rel=1e-4)
    assert verdict.kept == ()


def test_the_network_and_random_numbers_are_as_they_were():
    network = deep()
    network[0].weight.grad = torch.ones_like(network[0].weight)
    before, numbers = state(network), torch.get_rng_state()
    trial(network, batches(), CURE, steps=4, seeds=1)
    assert same(before, state(network))
    assert torch.equal(numbers, torch.get_rng_state())
    assert not network._state_dict_hooks


class Module(namespace().LightningModule):
    def __init__(self):
        super().__init__()
        self.network = deep()

    def training_step(self, batch, batch_idx):
        return cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("right", (self.network(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def test_a_module_is_trained_by_its_own_optimizer_and_scored_by_its_validation():
    torch.manual_seed(0)
    module, data = Module(), batches()
    verdict = trial(module, data[:6], CURE, steps=STEPS, seeds=1, held_back=data[6:])
    scores = []
    for cure in ([], CURE):
        twin = copy.deepcopy(module.network)
        for treatment in cure:
            treatment.apply(twin)
        optimizer = torch.optim.SGD(twin.parameters(), 0.1)
        for step in range(STEPS):
            x, y = data[step % 6]
            optimizer.zero_grad()
            cross_entropy(twin(x), y).backward()
            optimizer.step()
        scores.append(statistics.fmean((twin(x).argmax(1) == y).float().mean().item() for x, y in data[6:]))
    assert verdict.scores == {"right": pytest.approx(scores)}


def test_sick_and_cured():
    verdict = trial(deep(), batches(80), CURE, steps=80)
    assert verdict
    assert verdict.effect == "better"
    assert verdict.decades[0] > 4
    assert verdict.decades[1] < 1
    assert verdict.remedy == "ReplaceActivation() + Initialize('he')"


def test_what_changes_nothing_is_the_same():
    network = nn.Sequential(nn.Linear(16, 2))
    verdict = trial(network, batches(), ReplaceActivation("relu"), steps=4, seeds=1)
    assert not verdict
    assert verdict.effect == "same"
    assert verdict.loss[0] == verdict.loss[1]
    assert verdict.held_loss[0] == verdict.held_loss[1]


def test_as_text():
    verdict = Verdict(
        remedy="Cure()",
        effect="better",
        decades=(7.25, 0.5),
        loss=(2.3, 0.25),
        held_loss=(2.4, math.pi / 10),
        spread=(0.1, 0.02),
        scores={"right": (0.1, 0.9)},
        time=1.5,
        parameters=1280,
        steps=50,
        seeds=3,
        did=("1: Sigmoid is ReLU now.",),
        done="Cure(): 1: Sigmoid is ReLU now.",
    )
    assert str(verdict).splitlines() == [
        "Cure(): better (50 steps, 3 seeds, on copies)",
        "  gradient lost on the way to the first layer: 7.2 -> 0.5 decades",
        "  loss on held-back batches: 2.4 -> 0.314 (spread 0.1 -> 0.02)",
        "  training loss: 2.3 -> 0.25",
        "  right: 0.1 -> 0.9",
        "  cost: +1,280 parameters, 1.50 times the time of a step",
        "  Cure(): 1: Sigmoid is ReLU now.",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 1}, "`steps` must be a whole number of at least 2"),
        ({"seeds": 0}, "`seeds` must be a whole number of at least 1"),
        (
            {"remedy": "Initialize"},
            r"`remedy` must be a treatment, e.g. Initialize\('he'\), or several, got 'Initialize'",
        ),
        ({"remedy": []}, r"`remedy` must be a treatment, e.g. Initialize\('he'\), or several"),
        ({"model": 3}, "`model` must be a torch.nn.Module or a function that makes one"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(WrongArgument, match=message):
        trial(**{"model": deep(), "data": batches(), "remedy": Initialize("he"), **wrong})
