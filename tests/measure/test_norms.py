import math

import pytest
import torch

from lightning_gradwatch.measure.norms import dense, is_safe, joint_l2, l2, l2_each, plain_l2, plain_l2_each
from tests.reference import twins

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5, 2), (4096,)], ids=str)
def test_equals_the_twin(dtype, shape):
    tensor = torch.randn(shape).to(dtype)
    assert l2(tensor).item() == pytest.approx(twins.l2(tensor), rel=1e-6)


@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-30, 1e-23, 1e-19, 1e-12, 1.0, 1e12, 1e18, 1e30, 3e38])
def test_extremes_of_float32(size):
    tensor = torch.full((100,), size)
    assert l2(tensor).item() == pytest.approx(twins.l2(tensor), rel=1e-6)
    assert l2(tensor).item() > 0


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
def test_extremes_of_float64(size):
    assert l2(torch.full((4,), size, dtype=torch.float64)).item() == pytest.approx(2 * size, rel=1e-12)


def test_tiny_beside_large():
    tensor = torch.tensor([1e-22] * 1000 + [1e-16])
    assert l2(tensor).item() == pytest.approx(twins.l2(tensor), rel=1e-6)


def test_hand_worked():
    assert l2(torch.tensor([3.0, 4.0])).item() == 5.0


@pytest.mark.parametrize(("values", "expected"), [([math.inf, 1.0], math.inf), ([0.0, 0.0], 0.0), ([], 0.0)], ids=str)
def test_special_values(values, expected):
    assert l2(torch.tensor(values)).item() == expected


def test_nan_stays_nan():
    assert math.isnan(l2(torch.tensor([math.nan, 1.0])).item())
    assert math.isnan(l2(torch.tensor([math.nan, 1.0], dtype=torch.float64)).item())


def test_half_precision_accumulates_wide():
    tensor = torch.full((1000,), 300.0, dtype=torch.bfloat16)
    assert l2(tensor).item() == pytest.approx(9486.83, rel=1e-6)  # bfloat16 accumulation gives 9472


def test_sparse_is_coalesced():
    twice = torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 2]]), torch.tensor([1.0, 2.0, 4.0]), (5,), check_invariants=False
    )
    assert l2(twice).item() == 5.0  # sqrt(3^2 + 4^2): not sqrt(1 + 4 + 16)
    assert sorted(dense(twice).tolist()) == [3.0, 4.0]


def test_complex():
    assert l2(torch.tensor([3.0 + 4.0j])).item() == 5.0
    assert l2(torch.tensor([3.0 + 4.0j]).conj()).item() == 5.0


def test_joint_norm():
    parts = [torch.randn(4), torch.randn(2, 3), torch.zeros(0)]
    assert joint_l2(parts).item() == pytest.approx(twins.l2(torch.cat([p.flatten() for p in parts])), rel=1e-6)
    assert joint_l2([torch.full((2,), 1e-38), torch.full((2,), 1e-38)]).item() == pytest.approx(2e-38, rel=1e-6)


def test_input_is_not_changed():
    tensor = torch.randn(5, requires_grad=True)
    before = tensor.detach().clone()
    assert not l2(tensor).requires_grad
    assert torch.equal(tensor, before)


@pytest.mark.parametrize(
    ("norm", "safe"), [(0.0, False), (1e-20, False), (1.0, True), (1e19, False), (math.nan, False)]
)
def test_is_safe(norm, safe):
    assert is_safe(norm) is safe


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_a_large_tensor_does_not_drift(dtype, layout):
    """Summed one after the other in float32 it is off by 2e-5 already at half a million elements."""
    tensor = torch.randn(1000, 500, generator=torch.Generator().manual_seed(0)).to(dtype)
    tensor = tensor.T if layout == "transposed" else tensor
    true = torch.linalg.vector_norm(tensor.double()).item()
    assert l2(tensor).item() == pytest.approx(true, rel=1e-6)
    assert plain_l2(tensor).item() == pytest.approx(true, rel=1e-6)


@pytest.mark.parametrize("dtype", [*FLOATS, torch.complex64], ids=str)
def test_many_together_are_each_alone_to_the_last_bit(dtype):
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(n, 7, generator=generator).to(dtype) for n in (1, 50, 586, 3000)]
    tensors += [tensors[1].mT, torch.full((3,), 1e-30).to(dtype), torch.tensor([math.nan]).to(dtype)]
    for some in (tensors, tensors[:2]):
        assert str(l2_each(some).tolist()) == str([l2(tensor).item() for tensor in some])
        plain = [dense(tensor) for tensor in some]
        assert str(plain_l2_each(plain).tolist()) == str([plain_l2(tensor).item() for tensor in plain])


def test_an_empty_one_among_many_is_0():
    assert l2_each([torch.zeros(0), torch.tensor([3.0, 4.0])]).tolist() == [0.0, 5.0]
