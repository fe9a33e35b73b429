"""Neutral: with the watch on, a fit is bit for bit what it is without, and nothing of the watch stays behind."""

import gc
import weakref

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, fit, module, network, trainer


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("every", [1, 50])
def test_weights_are_bit_for_bit_the_same(optimizer, every):
    def trained(callbacks):
        fitted = module(NAMESPACES[0], network(), optimizer)
        torch.manual_seed(7)
        trainer(NAMESPACES[0], callbacks, max_epochs=2).fit(fitted, data())
        return [*fitted.parameters()], torch.get_rng_state()

    watched, rng = trained([GradWatch(every_n_steps=every, strict=True)])
    plain, plain_rng = trained([])
    assert all(torch.equal(a, b) for a, b in zip(watched, plain, strict=True))
    assert torch.equal(rng, plain_rng)


def ends_normally(module, batch_idx):
    pass


def raises(module, batch_idx):
    if batch_idx == 5:
        raise ValueError("the user's own")


def interrupts(module, batch_idx):
    if batch_idx == 5:
        raise KeyboardInterrupt


@pytest.mark.parametrize("on_vanishing", ["warn", "decay_lr"])
@pytest.mark.parametrize(
    ("on_step", "expected"),
    [(ends_normally, None), (raises, ValueError), (interrupts, SystemExit)],
    ids=["end", "exception", "Ctrl-C"],
)
def test_nothing_stays_behind(on_step, expected, on_vanishing):
    watch = GradWatch(every_n_steps=1, on_vanishing=on_vanishing, cooldown_steps=0, max_decays=1)
    fitted = module(NAMESPACES[0], network(), on_step=on_step)
    runner = trainer(NAMESPACES[0], [watch])
    if expected is None:
        runner.fit(fitted, data())
    else:
        with pytest.raises(expected):
            runner.fit(fitted, data())
    for one in fitted.modules():
        hooks = (one._forward_hooks, one._forward_pre_hooks, one._backward_hooks, one._backward_pre_hooks)
        assert not any(hooks)
    for parameter in fitted.parameters():
        assert not parameter._backward_hooks
        assert not parameter._post_accumulate_grad_hooks
    for optimizer in runner.optimizers:
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        assert [group["lr"] for group in optimizer.param_groups] == [1e-3]
    assert len(watch.report.frames) >= 5  # what was recorded is kept
    dead = weakref.ref(fitted)
    del fitted, runner, optimizer, parameter, one, hooks
    gc.collect()
    assert dead() is None


def test_a_loss_that_the_user_keeps_is_not_hooked():
    kept = []
    fitted = module(NAMESPACES[0], network())
    original = fitted.training_step
    fitted.training_step = lambda batch, batch_idx: kept.append(original(batch, batch_idx)) or kept[-1]
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch], max_steps=4).fit(fitted, data())
    assert len({frame.ledgers[0].end for frame in watch.report.frames}) == 4


def test_no_device_copy_on_steps_that_are_not_measured(monkeypatch):
    calls = []
    from lightning_gradwatch.measure import ranks

    original = ranks.to_host
    monkeypatch.setattr(ranks, "to_host", lambda tensors: calls.append(1) or original(tensors))
    watch = GradWatch(every_n_steps=1000)
    fit(watch, max_epochs=4)
    assert len(calls) == len(watch.report.frames) == 14  # 0..9, 11, 16, 23, 31 of 32 steps
