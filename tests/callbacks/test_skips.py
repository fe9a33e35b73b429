from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lightning_gradwatch.callbacks.skips import Skips


@pytest.fixture
def optimizers():
    made = [torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1) for _ in range(2)]
    for optimizer in made:
        optimizer.param_groups[0]["params"][0].grad = torch.ones(1)
    return made


def host(optimizers, has_scaler=True):
    return SimpleNamespace(has_scaler=has_scaler, optimizers=optimizers)


def test_steps_that_were_begun_and_never_made(optimizers):
    skips = Skips(host(optimizers))
    for made in (True, False, False, True):
        skips.begins(optimizers[0])
        if made:
            optimizers[0].step()
    assert skips.settle() == 2


def test_each_optimizer_by_itself(optimizers):
    skips = Skips(host(optimizers))
    skips.begins(optimizers[0])
    skips.begins(optimizers[1])
    optimizers[1].step()
    assert skips.settle() == 1


def test_the_last_one_counts_once_the_batch_is_over(optimizers):
    skips = Skips(host(optimizers), count=5)
    skips.begins(optimizers[0])
    assert skips.count == 5
    assert skips.settle() == 6
    assert skips.settle() == 6


def test_no_gradient_is_no_skipped_step(optimizers):
    skips = Skips(host(optimizers))
    optimizers[0].zero_grad()
    skips.begins(optimizers[0])
    assert skips.settle() == 0


def test_without_a_scaler_nothing_is_counted_and_nothing_hooked(optimizers):
    skips = Skips(host(optimizers, has_scaler=False))
    skips.begins(optimizers[0])
    assert skips.settle() == 0
    assert not optimizers[0]._optimizer_step_post_hooks


def test_close_leaves_no_hook(optimizers):
    skips = Skips(host(optimizers))
    assert optimizers[0]._optimizer_step_post_hooks
    skips.close()
    assert not any(optimizer._optimizer_step_post_hooks for optimizer in optimizers)
