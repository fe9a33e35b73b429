import pytest
import torch

from lightning_gradwatch.measure import updates
from lightning_gradwatch.measure.updates import is_comparable, movement, remember, update_ratio
from tests.reference import twins


def ratio(before, step):
    weight = before.clone()
    [kept] = remember([weight])
    return update_ratio(weight.add_(step), kept).item()


def test_hand_worked():
    assert ratio(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 0.5])) == pytest.approx(0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("size", [1e-2, 10.0], ids=["small step", "large step"])
def test_equals_the_twin(dtype, size):
    before, step = torch.randn(20, 3).to(dtype), (torch.randn(20, 3) * size).to(dtype)
    after = before + step
    expected = twins.l2(after.double() - before.double()) / twins.l2(before)
    assert ratio(before, step) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("before", "step", "expected"),
    [(0.0, 0.0, 0.0), (0.0, 0.1, 1.0), (1.0, 0.0, 0.0), (1e-30, 1e-33, 1e-3)],
    ids=["zero stays zero", "zero wakes up", "no step", "tiny weights"],
)
def test_corners(before, step, expected):
    assert ratio(torch.full((8,), before), torch.full((8,), step)) == pytest.approx(expected, rel=1e-3)


def test_large_parameters_are_followed_on_a_part(monkeypatch):
    monkeypatch.setattr(updates, "FOLLOWED", 100)
    weight = torch.randn(1000)
    [kept] = remember([weight])
    assert kept.numel() == 100
    assert update_ratio(weight.mul_(1.01), kept).item() == pytest.approx(0.01, rel=1e-3)


def test_empty_parameter():
    assert ratio(torch.zeros(0), torch.zeros(0)) == 0.0


@pytest.mark.parametrize(
    ("after", "comparable"),
    [(torch.ones(3, 2), True), (torch.ones(3, 4), False), (torch.ones(3, 2, device="meta"), False)],
    ids=["the same", "grown", "moved"],
)
def test_comparable_is_what_has_kept_its_shape_and_place(after, comparable):
    [kept] = remember([torch.ones(3, 2)])
    assert is_comparable(after, kept) == comparable


def test_many_together_are_each_alone_to_the_last_bit():
    weights = [torch.randn(3, 2), torch.randn(100, 99), torch.zeros(4), torch.randn(5).bfloat16(), torch.zeros(0)]
    kept = remember(weights)
    after = [weight + 0.01 for weight in weights]
    alone = [movement([now], [before]).flatten().tolist() for now, before in zip(after, kept, strict=True)]
    assert movement(after, kept).T.tolist() == alone
