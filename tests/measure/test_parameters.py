import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.measure.parameters import STATISTICS, gradient_statistics, owned_by
from tests.reference import twins

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def table(gradients):
    columns = gradient_statistics(gradients).T.tolist()
    return [dict(zip(STATISTICS, column, strict=True)) for column in columns]


def twin(gradient):
    values = twins.dense_values(gradient)
    return {
        "norm": twins.l2(gradient),
        "max": twins.largest(gradient),
        "nonzero": float(sum(v != 0 for v in values)),
        "nonfinite": float(sum(not math.isfinite(v) for v in values)),
    }


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-4, 1.0, 1e4, 1e30], ids=str)
def test_equals_the_twin(dtype, scale):
    if not torch.tensor(scale).to(dtype).isfinite():
        scale = 6e4
    gradients = [(torch.randn(shape) * scale).to(dtype) for shape in ((3,), (4, 5), (2, 3, 4), ())]
    for fast, gradient in zip(table(gradients), gradients, strict=True):
        assert fast == pytest.approx(twin(gradient), rel=2e-6)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_large_ones_beside_small_ones(dtype):
    gradients = [torch.randn(n).to(dtype) for n in (3, 300_000, 1)]
    for fast, gradient in zip(table(gradients), gradients, strict=True):
        assert fast["norm"] == pytest.approx(torch.linalg.vector_norm(gradient.double()).item(), rel=1e-6)


def test_hand_worked():
    assert table([torch.tensor([3.0, -4.0, 0.0])]) == [{"norm": 5.0, "max": 4.0, "nonzero": 2.0, "nonfinite": 0.0}]


def test_mixed_kinds_keep_their_places():
    sparse = torch.sparse_coo_tensor(torch.tensor([[0, 0]]), torch.tensor([1.0, 2.0]), (9,), check_invariants=False)
    gradients = [torch.ones(4, dtype=torch.bfloat16), sparse, torch.zeros(0), torch.ones(9), torch.tensor([3 + 4j])]
    assert [row["norm"] for row in table(gradients)] == [2.0, 3.0, 0.0, 3.0, 5.0]
    assert [row["nonzero"] for row in table(gradients)] == [4.0, 1.0, 0.0, 9.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
def test_a_complex_number_is_one_element(dtype):
    gradient = torch.tensor([3 + 4j, 0, complex(math.nan, 1), 2j], dtype=dtype)
    [row] = table([gradient])
    assert (row["nonzero"], row["nonfinite"]) == (3.0, 1.0)
    [row] = table([gradient[[0, 1, 3]].conj()])
    assert row == {"norm": pytest.approx(29**0.5), "max": 5.0, "nonzero": 2.0, "nonfinite": 0.0}


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_non_finite_elements_are_counted(bad):
    [row] = table([torch.tensor([1.0, bad, bad, 2.0])])
    assert row["nonfinite"] == 2
    assert not math.isfinite(row["norm"])


def test_vanished_is_not_zero():
    [tiny, nothing] = table([torch.full((64, 64), 4e-36), torch.zeros(64, 64)])
    assert tiny["norm"] == pytest.approx(64 * 4e-36, rel=1e-6)
    assert nothing["norm"] == 0.0


def test_no_gradients():
    assert gradient_statistics([]).shape == (4, 0)


def test_owned_parameters():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].bias.requires_grad_(False)
    stray = nn.Parameter(torch.ones(1))
    stray.grad = torch.ones(1)
    optimizer = torch.optim.SGD([{"params": list(model.parameters())}, {"params": [stray]}], lr=0.1)
    names = {id(p): n for n, p in model.named_parameters()}
    assert [o.name for o in owned_by(optimizer, 1, names)] == [
        "0.weight",
        "1.weight",
        "1.bias",
        "optimizer[1].param[3]",
    ]


def test_what_was_taken_out_of_the_model_is_left_out_unless_it_gets_a_gradient():
    inside, orphan, foreign = (nn.Parameter(torch.ones(2)) for _ in range(3))
    foreign.grad = torch.ones(2)
    owned = owned_by(torch.optim.SGD([inside, orphan, foreign], 0.1), 0, {id(inside): "inside"})
    assert [own.name for own in owned] == ["inside", "optimizer[0].param[1]"]
