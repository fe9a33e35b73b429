"""What containers hold, copied and put back."""

import pytest
import torch

from lightning_gradwatch.remedies.surgery.containers import copied, inside, once, refilled, same


@pytest.mark.parametrize("held", [[1, 2], {"a": 1}, {1, 2}], ids=["list", "dict", "set"])
def test_the_same_container_is_filled_again(held):
    before, text = inside(held), repr(held)
    assert same(held, before)
    held.clear()
    assert not same(held, before)
    assert refilled(held, before) is held
    assert repr(held) == text


def test_the_same_means_the_very_objects():
    tensors = [torch.ones(1), torch.ones(1)]
    before = inside(tensors)
    tensors[1] = torch.ones(1)
    assert not same(tensors, before)
    assert same(1.5, inside(1.5))  # what is no container has nothing inside


def test_copies_share_no_tensor_and_keep_their_kinds():
    step = torch.ones(2, requires_grad=True)
    state = {"step": step, "old": [step, (step, 3)], "f": None}
    copy = copied(state)
    step.data.zero_()
    assert copy["step"].tolist() == copy["old"][0].tolist() == copy["old"][1][0].tolist() == [1.0, 1.0]
    assert isinstance(copy["old"][1], tuple)
    assert not copy["step"].requires_grad


def test_each_place_in_memory_once():
    wide = torch.zeros(1, 3).expand(4, 3)
    assert once(wide).shape == (1, 3)
    once(wide).fill_(2.0)
    assert wide.tolist() == [[2.0] * 3] * 4
    assert once(torch.zeros(2, 3)).shape == (2, 3)
    assert once(torch.eye(2).to_sparse()).is_sparse
