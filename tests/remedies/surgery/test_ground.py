"""Random numbers and gradient modes of one's own."""

import random

import numpy as np
import pytest
import torch

from lightning_gradwatch.remedies.surgery.ground import has_company, own_ground, reseed, secluded


def draw():
    return torch.rand(3).tolist(), random.random(), np.random.rand(2).tolist()


def test_the_same_seed_draws_the_same():
    with own_ground(7):
        first = draw()
    with own_ground(7):
        assert draw() == first
        reseed(7)
        assert draw() == first
    with own_ground(8):
        assert draw() != first


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind(fails):
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    expected = draw()
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    try:
        with own_ground(0):
            draw()
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert draw() == expected


def test_gradients_are_recorded_whatever_the_caller_does():
    with torch.inference_mode(), own_ground(0):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("ranks", "company"), [(None, False), (1, False), (2, True)])
def test_company_is_another_rank_unless_one_is_secluded(ranks, company, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: ranks is not None)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: ranks)
    assert has_company() is company
    with secluded():
        assert not has_company()
        with secluded():
            pass
        assert not has_company()
    assert has_company() is company
