"""The length of gradients, and how they are shortened."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.gradients import gradients_of, limit, multiply, norm_of, silence, unit


def sparse(values):
    """Two rows, one of them given twice."""
    return torch.sparse_coo_tensor(torch.tensor([[0, 2, 0]]), torch.tensor(values), (4, 2), check_invariants=True)


def twin(gradients):
    """All numbers one by one, in float64."""
    total = 0.0
    for gradient in gradients:
        dense = gradient.to_dense() if gradient.layout == torch.sparse_coo else gradient
        total += sum(abs(complex(number)) ** 2 for number in dense.flatten().tolist())
    return math.sqrt(total)


CASES = {
    "float32": [torch.tensor([3.0, 4.0]), torch.tensor([[12.0]])],
    "float16 whose norm is none": [torch.full((4,), 60000.0, dtype=torch.float16)],
    "bfloat16 and float64": [torch.full((3,), 0.5, dtype=torch.bfloat16), torch.tensor([2.0], dtype=torch.float64)],
    "tiny": [torch.full((5,), 1e-30)],
    "complex": [torch.tensor([3 + 4j, 0j])],
    "sparse": [sparse([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.ones(2)],
    "empty and scalar": [torch.zeros(0), torch.tensor(2.0)],
}


@pytest.mark.parametrize("gradients", CASES.values(), ids=list(CASES))
def test_norm_is_that_of_the_slow_twin(gradients):
    assert norm_of(gradients).item() == pytest.approx(twin(gradients), rel=1e-6)


def test_a_worked_one():
    assert norm_of(CASES["float32"]).item() == 13.0


@pytest.mark.parametrize("gradients", CASES.values(), ids=list(CASES))
def test_multiplied(gradients):
    mine = [gradient.clone() for gradient in gradients]
    multiply(mine, torch.tensor(0.25, dtype=torch.float64))
    assert [one.dtype for one in mine] == [one.dtype for one in gradients]
    assert twin(mine) == pytest.approx(0.25 * twin(gradients), rel=1e-3)


def test_limited_part_by_part():
    mine = [torch.tensor([3 - 4j, 0.5j]), sparse([[1.0, -2.0], [3.0, 4.0], [-5.0, 6.0]]), torch.tensor([-9.0])]
    limit(mine, 2.0)
    assert mine[0].tolist() == [2 - 2j, 0.5j]
    assert mine[1].to_dense().tolist() == [[-2, 2], [0, 0], [2, 2], [0, 0]]  # the row that is there twice is -4, 4
    assert mine[2].tolist() == [-2.0]


@pytest.mark.parametrize("holds", [True, False])
def test_silenced(holds):
    mine = [torch.tensor([1.0, math.nan]), sparse([[1.0, 2.0], [3.0, 4.0], [5.0, math.inf]])]
    silence(mine, unless=torch.tensor(holds))
    assert (twin(mine) == 0) is not holds


def test_of_the_parameters_that_are_meant():
    first, second, third = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    first.grad, second.grad = torch.ones(1), torch.ones(1)
    optimizer = torch.optim.SGD([first, second, third], lr=1.0)
    assert len(gradients_of(optimizer)) == 2
    assert gradients_of(optimizer, {id(second), id(third)})[0] is second.grad
    assert unit(optimizer) == 1.0
    optimizer.grad_scale = torch.tensor(128.0)  # as GradScaler does for a fused one
    assert unit(optimizer).item() == 128.0
