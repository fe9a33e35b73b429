import pytest
import torch
from torch import nn

from lightning_gradwatch.callbacks.loop_host import LoopHost


@pytest.fixture
def host():
    model = nn.Linear(2, 1)
    return LoopHost(model, [torch.optim.SGD(model.parameters(), lr=0.1)])


def test_the_callback_comes_after_the_backward_with_the_gradients_there(host):
    seen = []
    loss = host.model(torch.ones(3, 2)).sum()
    host.when_done(loss, lambda: seen.append(host.model.weight.grad.clone()))
    loss.backward()
    assert [gradient.tolist() for gradient in seen] == [[[3.0, 3.0]]]


def test_it_comes_once_also_where_the_graph_is_kept(host):
    calls = []
    loss = host.model(torch.ones(3, 2)).sum()
    host.when_done(loss, lambda: calls.append(1))
    loss.backward(retain_graph=True)
    loss.backward()
    assert calls == [1]


def test_a_loss_without_a_graph(host):
    host.when_done(torch.tensor(1.0), lambda: pytest.fail("there is no backward"))
    assert host.backward(torch.tensor(1.0)) is None


def test_idle_counts_steps_while_it_is_open(host):
    host.open()
    host.begins_batch()
    assert not host.idle  # none has ever stepped
    host.optimizers[0].step()
    assert not host.idle
    host.begins_batch()
    assert host.idle
    host.close()
    assert not host.optimizers[0]._optimizer_step_post_hooks


def test_scales():
    model = nn.Linear(2, 1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    host = LoopHost(model, [torch.optim.SGD(model.parameters(), lr=0.1)], scaler)
    scaler.scale(model(torch.ones(1, 2)).sum()).backward()
    assert (host.has_scaler, host.loss_scale, host.gradient_scale(host.optimizers[0])) == (True, 8.0, 8.0)
    scaler.unscale_(host.optimizers[0])
    assert host.gradient_scale(host.optimizers[0]) == 1.0


def test_a_scaler_that_is_off_is_none(host):
    off = LoopHost(host.model, host.optimizers, torch.amp.GradScaler("cpu", enabled=False))
    assert (off.has_scaler, off.loss_scale) == (False, 1.0)
    assert off.any_rank(True) is True
