"""Scale: the user's own loss and the true gradients, behind accumulation, AMP and DDP."""

import importlib
import types

import pytest
import torch

from lightning_gradwatch import _lightning
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer


class Recorder:
    """Notes what the hooks of one fit read through ``_lightning``."""

    def __init__(self, namespace):
        self.rows = rows = []
        base = importlib.import_module(namespace).Callback

        class Callback(base):
            def on_before_backward(self, trainer, pl_module, loss):
                node = _lightning.loss_node(trainer, pl_module, loss)
                rows.append(
                    (
                        _lightning.step_of(trainer),
                        _lightning.completes_window(trainer, pl_module),
                        _lightning.is_last_step(trainer),
                        node.name(),
                        _lightning.loss_value(trainer, pl_module, loss).item(),
                        _lightning.loss_scale(trainer),
                    )
                )

            def on_before_optimizer_step(self, trainer, pl_module, optimizer):
                rows.append(("scale", _lightning.gradient_scale(trainer, optimizer)))

        self.callback = Callback()


@both_namespaces
def test_windows_steps_and_losses(namespace):
    recorder = Recorder(namespace)
    fitted = module(namespace, network())
    trainer(namespace, [recorder.callback], accumulate_grad_batches=3).fit(fitted, data(batches=5))
    seen = [row for row in recorder.rows if row[0] != "scale"]
    assert [row[:3] for row in seen] == [
        (0, False, False),
        (0, False, False),
        (0, True, False),
        (1, False, False),
        (1, True, True),
    ]
    assert {row[3] for row in seen} == {"NllLossBackward0"}  # the user's own, below Lightning's division
    assert all(1.5 < row[4] < 3.5 for row in seen)  # cross entropy of ten classes, not a third of it


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
def test_scaler(fused):
    pl = importlib.import_module(NAMESPACES[0])
    precision = importlib.import_module("lightning.pytorch.plugins.precision")
    recorder = Recorder(NAMESPACES[0])
    fitted = module(NAMESPACES[0], network())
    fitted.configure_optimizers = lambda: torch.optim.Adam(fitted.parameters(), fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=128.0)
    plugin = precision.MixedPrecision("16-mixed", "cpu", scaler)
    trainer(NAMESPACES[0], [recorder.callback], plugins=[plugin], max_steps=2).fit(fitted, data())
    assert {row[5] for row in recorder.rows if row[0] != "scale"} == {128.0}
    assert {row[1] for row in recorder.rows if row[0] == "scale"} == {128.0 if fused else 1.0}
    assert all(1.5 < row[4] < 3.5 for row in recorder.rows if row[0] != "scale")
    assert pl


def test_the_loss_is_found_behind_what_ddp_ties_together():
    class _DDPSink(torch.autograd.Function):
        @staticmethod
        def forward(context, *tensors):
            return tuple(tensor.clone() for tensor in tensors)

        @staticmethod
        def backward(context, *gradients):
            return gradients

    weight = torch.ones(2, requires_grad=True)
    other, loss = weight.exp(), weight.sigmoid().sum()
    _, tied = _DDPSink.apply(other, loss)
    module = types.SimpleNamespace(automatic_optimization=True)
    trainer = types.SimpleNamespace(strategy=None)
    assert _lightning.loss_node(trainer, module, tied / 1) is loss.grad_fn
