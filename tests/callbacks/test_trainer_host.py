"""What the watch is told of a Trainer's fit."""

import importlib

import pytest
import torch
from torch import nn

from lightning_gradwatch.callbacks.trainer_host import TrainerHost
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer


def spied(namespace, look, manual=False, **options):
    """What ``look(host, batch_idx)`` sees at the end of every batch."""
    pl, seen = importlib.import_module(namespace), []

    class Spy(pl.Callback):
        def on_train_start(self, trainer, pl_module):
            self.host = TrainerHost(trainer, pl_module)

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.host.begins_batch()

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(look(self.host, batch_idx))

    fitted = module(namespace, network(False))
    if manual:
        fitted.automatic_optimization = False

        def training_step(batch, batch_idx):
            fitted.manual_backward(nn.functional.cross_entropy(fitted.net(batch[0]), batch[1]))
            if batch_idx % 4 == 3:
                fitted.optimizers().step()

        fitted.training_step = training_step
    trainer(namespace, [Spy()], **options).fit(fitted, data())
    return seen


@both_namespaces
def test_window(namespace):
    seen = spied(namespace, lambda host, i: host.window(i), accumulate_grad_batches=3)
    assert seen == [(1, 3), (2, 3), (3, 3), (1, 3), (2, 3), (3, 3), (1, 3), (2, 3)]


@both_namespaces
def test_idle_is_a_batch_without_a_step_once_there_were_some(namespace):
    assert spied(namespace, lambda host, i: host.idle, manual=True) == [*[False] * 4, True, True, True, False]
    assert spied(namespace, lambda host, i: host.idle) == [False] * 8


def test_the_end_is_seen_as_far_as_it_is_known():
    assert spied(NAMESPACES[0], lambda host, i: host.may_end_here) == [*[False] * 7, True]
    ends = spied(NAMESPACES[0], lambda host, i: (host.may_end_here, host.checks_here), max_epochs=2)
    assert ends[7] == (False, True)


def test_a_loss_without_a_graph_has_no_backward():
    [first, *_] = spied(NAMESPACES[0], lambda host, i: host.backward(torch.tensor(1.0)))
    assert first is None


@pytest.mark.parametrize(("manual", "divisor"), [(False, 1), (True, 1)], ids=["automatic", "manual"])
def test_scale_of_a_backward(manual, divisor):
    def look(host, i):
        loss = torch.ones(1, requires_grad=True).sum() * 2
        backward = host.backward(loss)
        return backward.scale, float(backward.loss)

    assert spied(NAMESPACES[0], look, manual)[0] == (1.0, 2.0 * divisor)
