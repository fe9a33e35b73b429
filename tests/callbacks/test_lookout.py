import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lightning_gradwatch.callbacks.host import Backward
from lightning_gradwatch.callbacks.lookout import Lookout
from lightning_gradwatch.callbacks.wakefulness import Wakefulness


class Heard(Wakefulness):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.looks = []

    def hears(self, step, looks):
        self.looks.append((step, [(look.optimizer, look.numbers, look.is_true) for look in looks]))
        super().hears(step, looks)


def host(*, by_hand=False, has_scaler=False, optimizers=1, scale=1.0):
    weights = [nn.Parameter(torch.ones(2, 2)) for _ in range(optimizers)]
    for weight in weights:
        weight.grad = torch.full((2, 2), 1.5)
    return SimpleNamespace(
        step=0,
        by_hand=by_hand,
        has_scaler=has_scaler,
        completes_window=True,
        optimizers=[torch.optim.SGD([weight], lr=0.1) for weight in weights],
        backward=lambda loss: Backward(None, loss.detach() / scale, scale) if loss.grad_fn else None,
    )


def batch(lookout, trainer, *, losses=(2.0,), steps=True):
    lookout.batch_begins(lookout.optimizer_begins)
    for loss in losses:
        lookout.backward_begins(torch.tensor(loss, requires_grad=True) * 1)
    for optimizer in trainer.optimizers if steps else ():
        if not trainer.by_hand:
            lookout.optimizer_begins(optimizer)
        optimizer.step()
    lookout.batch_ends()
    trainer.step += 1


def test_sees_losses_and_gradients_on_one_step_in_five():
    told, trainer = Heard(), host(optimizers=2)
    lookout = Lookout(trainer, told, True)
    for _ in range(8):
        batch(lookout, trainer)
    seen = [(-1, {"loss": 2.0}, True), (0, {"0": 3.0}, True), (1, {"0": 3.0}, True)]
    assert told.looks == [(0, seen), (5, seen)]


def test_by_hand_it_listens_to_the_optimizers_on_those_steps_alone():
    told, trainer = Heard(), host(by_hand=True, optimizers=2)
    lookout = Lookout(trainer, told, True)
    for _ in range(8):
        batch(lookout, trainer, losses=(2.0, 4.0))
    seen = [(-1, {"loss": 2.0}, True), (-1, {"loss[1]": 4.0}, True), (0, {"0": 3.0}, True), (1, {"0": 3.0}, True)]
    assert told.looks == [(0, seen), (5, seen)]
    assert not any(optimizer._optimizer_step_pre_hooks for optimizer in trainer.optimizers)


def test_a_closure_s_repetitions_are_no_other_losses_or_steps():
    told, trainer = Heard(), host()
    lookout = Lookout(trainer, told, True)
    lookout.batch_begins(lookout.optimizer_begins)
    for loss in (2.0, 1.0):
        lookout.backward_begins(torch.tensor(loss, requires_grad=True) * 1)
        lookout.optimizer_begins(trainer.optimizers[0])
    lookout.batch_ends()
    assert told.looks == [(0, [(-1, {"loss": 2.0}, True), (0, {"0": 3.0}, True)])]


def test_a_window_that_is_not_complete_is_not_looked_at():
    told, trainer = Heard(), host()
    lookout = Lookout(trainer, told, True)
    trainer.completes_window = False
    batch(lookout, trainer)
    assert told.looks == []


def test_a_batch_on_which_nothing_stepped_is_made_up_for():
    told, trainer = Heard(), host(by_hand=True)
    lookout = Lookout(trainer, told, True)
    for steps in (False, False, True, False, False, False, True):
        batch(lookout, trainer, steps=steps)
    assert [step for step, _ in told.looks] == [2, 6]
    assert all(seen[0] == (-1, {"loss": 2.0}, True) and len(seen) == 2 for _, seen in told.looks)


def test_a_batch_that_is_cut_short_leaves_nothing():
    told, trainer = Heard(), host(by_hand=True)
    lookout = Lookout(trainer, told, True)
    lookout.batch_begins(lookout.optimizer_begins)
    lookout.backward_begins(torch.tensor(7.0, requires_grad=True) * 1)
    batch(lookout, trainer)
    assert told.looks == [(0, [(-1, {"loss": 2.0}, True), (0, {"0": 3.0}, True)])]
    lookout.batch_begins(lookout.optimizer_begins)
    lookout.drop()
    assert not trainer.optimizers[0]._optimizer_step_pre_hooks


def test_under_a_scaler_losses_are_true_and_gradients_known_as_scaled():
    told, trainer = Heard(), host(has_scaler=True, scale=128.0)
    batch(Lookout(trainer, told, True), trainer, losses=(256.0,))
    assert told.looks == [(0, [(-1, {"loss": 2.0}, True), (0, {"0": 3.0}, False)])]


@pytest.mark.parametrize("odd", [math.nan, math.inf])
@pytest.mark.parametrize("step", [4, 5])
def test_a_loss_that_is_not_finite_is_known_before_its_backward(odd, step):
    trainer = host()
    lookout = Lookout(trainer, Heard(), True)
    for _ in range(step):
        batch(lookout, trainer)
    lookout.batch_begins(lookout.optimizer_begins)
    assert lookout.backward_begins(torch.tensor(odd, requires_grad=True) * 1)
    lookout.batch_ends()
    lookout.batch_begins(lookout.optimizer_begins)
    assert not lookout.backward_begins(torch.tensor(odd, requires_grad=True) * 1)


def test_a_second_loss_comes_too_late_for_its_own_step():
    trainer, told = host(by_hand=True), Heard()
    lookout = Lookout(trainer, told, True)
    for _ in range(3):
        batch(lookout, trainer, losses=(1.0, 2.0))
    lookout.batch_begins(lookout.optimizer_begins)
    assert not lookout.backward_begins(torch.tensor(1.0, requires_grad=True) * 1)
    assert not lookout.backward_begins(torch.tensor(math.nan, requires_grad=True) * 1)
    assert told.waking.due(4)  # so it is the next one


def test_where_others_train_too_it_looks_at_nothing():
    told, trainer = Heard(), host(by_hand=True)
    lookout = Lookout(trainer, told, False)
    for loss in (1.0, math.nan):
        batch(lookout, trainer, losses=(loss,))
    assert told.looks == []
    assert told == Heard()


def test_what_is_under_way_is_carried():
    told, trainer = Wakefulness(), host()
    lookout = Lookout(trainer, told, True)
    batch(lookout, trainer)
    lookout.carry()
    assert told.carried == []  # a CPU is never late
    told.carried = [SimpleNamespace(optimizer=-1, numbers={"loss": 3.0}, is_true=True)]
    lookout.go_on()
    lookout.carry()
    assert told.carried[0].numbers == {"loss": 3.0}
