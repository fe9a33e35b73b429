"""Mean and deviation, against all values at once."""

import math

import pytest
import torch

from lightning_gradwatch.remedies.surgery.moments_of_data import DataMoments


def measured(batches, features, axis):
    data = DataMoments(features)
    for batch in batches:
        data.add(batch, axis)
    return data


@pytest.mark.parametrize(("shape", "axis"), [((5, 3), -1), ((4, 6, 3), -1), ((5, 3, 4, 4), -3)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_batch_by_batch_as_all_at_once(shape, axis, offset):
    torch.manual_seed(0)
    batches = [torch.randn(shape) * 3 + offset for _ in range(5)]
    data = measured(batches, 3, axis)
    rows = torch.cat([batch.double().movedim(axis, -1).reshape(-1, 3) for batch in batches])
    for feature in range(3):  # slowly
        values = rows[:, feature].tolist()
        mean = math.fsum(values) / len(values)
        std = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
        assert data.mean[feature].item() == pytest.approx(mean, rel=1e-12, abs=1e-12)
        assert data.std()[feature].item() == pytest.approx(std, rel=1e-9)
    assert data.count == len(rows)


def test_by_hand():
    data = measured([torch.tensor([[2.0, 7.0]]), torch.tensor([[4.0, 7.0], [9.0, 7.0]])], 2, -1)
    assert data.mean.tolist() == [5.0, 7.0]
    assert data.std().tolist() == [pytest.approx(math.sqrt(26 / 3)), 1.0]  # the second never changes


def test_what_is_not_finite_is_left_out():
    data = measured([torch.tensor([[1.0, 1.0], [math.nan, 5.0], [3.0, math.inf], [3.0, 5.0]])], 2, -1)
    assert (data.count, data.mean.tolist()) == (2, [2.0, 3.0])
    assert measured([torch.full((2, 2), math.nan)], 2, -1).count == 0


def test_zeros_and_ones_are_told():
    data = measured([torch.tensor([[0.0, 0.0], [1.0, 0.5]])], 2, -1)
    assert data.binary.tolist() == [True, False]


def test_rounding_is_no_spread():
    assert measured([torch.tensor([[1e6], [1e6 + 0.0625]])], 1, -1).std().tolist() == [1.0]
