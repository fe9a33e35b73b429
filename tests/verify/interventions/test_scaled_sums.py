"""Residual sums, and nothing else that adds, are brought to the size of their terms."""

import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.verify.interventions.scaled_sums import scaled_sums
from tests.verify.proofs import digits, scene, tried

SUMS = {
    "a + b": lambda x, y: x + y,
    "torch.add": torch.add,
    "x += y": lambda x, y: x.add_(y),
}


class Stack(nn.Module):
    """Residual blocks, as many ways to write a sum as there are."""

    def __init__(self, add, depth=30):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.head, self.add = nn.Linear(64, 10), SUMS[add]
        for block in self.blocks:
            nn.init.xavier_normal_(block.weight, gain=1.5)

    def forward(self, x):
        x = torch.tanh(self.head.weight.mean() * x) * 10
        for block in self.blocks:
            x = self.add(x * 1.0, block(x))
        return self.head(x + 1)


@pytest.mark.parametrize("add", SUMS)
def test_sums_of_two_computed_tensors_are_divided_by_the_root_of_2(add):
    found = tried(Stack(add), "GW203", name="exploding:loss", layers=("blocks.0",))
    assert "30 residual sums divided by the root of 2" in found.proof
    assert found.recovered > 0.5


def test_the_sum_is_what_it_was_over_the_root_of_2():
    known, x = scene(Stack("a + b", depth=1), name="exploding:loss", layers=("blocks.0",)), digits()[0]
    plain = known.model.head(torch.zeros(1, 64) + 1)
    change = scaled_sums(known)
    without = known.model(x)
    with change.around:
        within = known.model(x)
    assert torch.allclose((within - plain) * math.sqrt(2), without - plain, atol=1e-4)


def test_sums_that_lose_have_another_reason():
    assert scaled_sums(scene(Stack("a + b"))) is None
