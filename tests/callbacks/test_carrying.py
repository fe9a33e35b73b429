"""What is carried in a checkpoint of treatments that act at every step."""

import json
import math

import pytest
import torch

from lightning_gradwatch import BoostDepthLR, ClipGradients, DecayLR, WarmUp
from lightning_gradwatch.callbacks.carrying import carried, go_on_from, hand_over
from lightning_gradwatch.remedies.surgery.at_step import running_on
from tests.verify.networks import deep

TREATMENTS = [
    WarmUp(20),
    ClipGradients(quantile=0.5, window=8),
    DecayLR(0.5, when="noisy"),
    DecayLR(0.5, when="stepwise", every_n_steps=3),
    BoostDepthLR(),
]


def fit(treatment, steps=0):
    """A network with its optimizer, treated, after some steps."""
    torch.manual_seed(0)
    model = deep(depth=3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    treatment.apply(model, optimizer)
    go_on(model, optimizer, steps)
    return model, optimizer


def go_on(model, optimizer, steps):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 16, generator=generator)).square().mean().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("treatment", TREATMENTS, ids=repr)
def test_what_is_handed_over_goes_on_as_what_was_carried(treatment):
    model, optimizer = fit(treatment, steps=7)
    saved = json.loads(json.dumps(carried([optimizer], {repr(treatment)}), allow_nan=False))
    other, again = fit(treatment)
    other.load_state_dict({name: value for name, value in model.state_dict().items() if "lightning" not in name})
    hand_over([again], saved)
    for one, two in zip(go_on(model, optimizer, 9), go_on(other, again, 9), strict=True):
        assert torch.equal(one, two)


def test_infinities_are_carried():
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    treatment = ClipGradients(quantile=0.5, window=3)
    treatment.apply(model, optimizer)
    saved = json.loads(json.dumps(carried([optimizer], {repr(treatment)}), allow_nan=False))
    hand_over([optimizer], saved)
    (acts,) = running_on(optimizer)
    assert all(map(math.isnan, acts.norms.tolist()))


def test_others_carry_their_own():
    _, optimizer = fit(WarmUp(20), steps=2)
    assert carried([optimizer], {repr(WarmUp(5))}) == []


def test_an_optimizer_that_is_gone_is_passed_over():
    _, optimizer = fit(WarmUp(20), steps=2)
    saved = carried([optimizer], {repr(WarmUp(20))})
    hand_over([], saved)
    assert saved[0]["state"]["steps"] == 2


def test_without_a_copy_there_is_nothing_to_go_on_from():
    assert go_on_from(None, None) == 0
