"""Gradient accumulation, the short last window, GradientAccumulationScheduler"""

import importlib

import pytest
import torch
from torch.utils.data import DataLoader

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer


def frames(callbacks=(), namespace=NAMESPACES[0], batches=None, rate=0.0, **options):
    watch = GradWatch(every_n_steps=1, strict=True)
    fitted = module(namespace, network(False), "SGD", rate=rate)
    trainer(namespace, [*callbacks, watch], **options).fit(fitted, data() if batches is None else batches)
    assert watch.report.findings == ()
    return watch.report.frames


@both_namespaces
@pytest.mark.parametrize("k", [2, 4, 8], ids="over {} batches".format)
def test_once_a_real_step_and_equal_to_the_large_batch(namespace, k):
    small = frames(namespace=namespace, accumulate_grad_batches=k)
    large = frames(namespace=namespace, batches=data(8 // k, 16 * k))
    assert [frame.batch for frame in small] == [*range(k - 1, 8, k)]
    assert [frame.step for frame in small] == [*range(8 // k)]
    for ours, theirs in zip(small, large, strict=True):
        assert [r.norm for r in ours.parameters] == pytest.approx([r.norm for r in theirs.parameters], rel=1e-4)
        assert (ours.micro_batches, ours.accumulation, ours.short_window) == (k, k, False)
        assert ours.ledgers[0].start == pytest.approx(0.0, abs=1e-6)  # the user's own loss, undivided


def test_the_short_last_window_is_recognised():
    *whole, last = frames(accumulate_grad_batches=3)
    assert [(frame.micro_batches, frame.accumulation) for frame in whole] == [(3, 3), (3, 3)]
    assert (last.batch, last.micro_batches, last.accumulation, last.short_window) == (7, 2, 3, True)


def test_the_short_last_window_is_said_in_the_report():
    watch = GradWatch(every_n_steps=1)
    trainer(NAMESPACES[0], [watch], accumulate_grad_batches=3).fit(module(NAMESPACES[0], network(False)), data())
    [said] = watch.report.remarks
    assert "the last at step 2: 2 of 3 micro-batches" in said


@both_namespaces
def test_an_accumulation_that_changes(namespace):
    callbacks = importlib.import_module(f"{namespace}.callbacks")
    schedule = callbacks.GradientAccumulationScheduler({0: 1, 1: 4})
    measured = frames([schedule], namespace, max_epochs=2)
    assert [frame.accumulation for frame in measured] == [1] * 8 + [4] * 2
    assert [frame.step for frame in measured] == [*range(10)]
    assert all(frame.ledgers[0].start == pytest.approx(0.0, abs=1e-6) for frame in measured)


def by_hand(fitted, n, step_last):
    fitted.automatic_optimization = False

    def training_step(batch, batch_idx):
        optimizer = fitted.optimizers()
        loss = torch.nn.functional.cross_entropy(fitted.net(batch[0]), batch[1]) / n
        fitted.manual_backward(loss)
        if (batch_idx + 1) % n == 0 or (step_last and fitted.trainer.is_last_batch):
            optimizer.step()
            optimizer.zero_grad()

    fitted.training_step = training_step
    return fitted


@pytest.mark.parametrize("every", [1, 5, 1000], ids="by hand, measured every {} steps".format)
def test_accumulation_by_hand_is_measured_where_it_steps(every):
    """Whatever step is due: the batch that ends the window is measured."""
    watch = GradWatch(every_n_steps=every, strict=True)
    fitted = by_hand(module(NAMESPACES[0], network(False), "SGD", rate=0.0), 4, step_last=False)
    trainer(NAMESPACES[0], [watch], max_epochs=4).fit(fitted, data())
    steps = [frame.step for frame in watch.report.frames]
    assert {step % 4 for step in steps} == {3}
    assert steps[0] == 3
    assert len(steps) == {1: 8, 5: 7, 1000: 6}[every]
    large = frames(batches=data(2, 64))[0]
    norms = [reading.norm for reading in large.parameters]
    assert [reading.norm for reading in watch.report.frames[0].parameters] == pytest.approx(norms, rel=1e-4)


def test_batches_of_different_sizes():
    x, y = next(iter(data(1, 16)))
    uneven = DataLoader([(x[:3], y[:3]), (x[3:], y[3:])], batch_size=None)
    [frame] = frames(batches=uneven, accumulate_grad_batches=2)
    assert frame.norm > 0
    assert not frame.short_window
