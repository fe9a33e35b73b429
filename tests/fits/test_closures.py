"""L-BFGS and closures that run several times (SAM)"""

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer
from tests.reference import twins


class Sam(torch.optim.SGD):
    """Sharpness-aware minimisation with a closure: climb, look again, come back and step."""

    @torch.no_grad()
    def step(self, closure=None):
        closure = torch.enable_grad()(closure)
        loss = closure()
        parameters = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in parameters]).norm()
        steps = [0.05 * p.grad / norm for p in parameters]
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.add_(step)
        closure()
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.sub_(step)
        super().step()
        return loss


OPTIMIZERS = {
    "L-BFGS": lambda p: torch.optim.LBFGS(p, 0.01, max_iter=4),
    "L-BFGS with line search": lambda p: torch.optim.LBFGS(p, 0.1, max_iter=4, line_search_fn="strong_wolfe"),
    "SAM": lambda p: Sam(p, 0.01),
}


@both_namespaces
@pytest.mark.parametrize("build", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_one_measurement_a_real_step(namespace, build):
    true = []

    def fit(callbacks):
        fitted = module(namespace, network(False))
        fitted.configure_optimizers = lambda: build(fitted.parameters())
        fitted.on_before_optimizer_step = lambda optimizer: true.append(
            (fitted.trainer.global_step, twins.l2(torch.cat([p.grad.flatten() for p in fitted.parameters()])))
        )
        trainer(namespace, callbacks).fit(fitted, data())
        return [p.detach().clone() for p in fitted.parameters()]

    plain = fit([])
    assert len(true) > 8  # the closure does run several times a step
    true.clear()
    watch = GradWatch(every_n_steps=1, strict=True)
    watched = fit([watch])
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    firsts = dict(reversed(true))
    frames = watch.report.frames
    assert [frame.norm for frame in frames] == pytest.approx([firsts[step] for step in range(8)], rel=1e-6)
    assert [len(frame.ledgers) for frame in frames] == [1] * 8
    assert {frame.optimizers[0].used for frame in frames} == {None}  # several gradients went into one step
    assert watch.report.findings == ()


def test_sam_by_hand():
    """Two backwards and one step: a ledger each, one reading of the gradient that is used."""
    fitted = module(NAMESPACES[0], network(False), "SGD", rate=0.01)
    fitted.automatic_optimization = False

    def training_step(batch, batch_idx):
        optimizer = fitted.optimizers()
        optimizer.zero_grad()
        fitted.manual_backward(nn.functional.cross_entropy(fitted.net(batch[0]), batch[1]))
        steps = [0.01 * p.grad for p in fitted.parameters()]
        with torch.no_grad():
            for parameter, step in zip(fitted.parameters(), steps, strict=True):
                parameter.add_(step)
        optimizer.zero_grad()
        fitted.manual_backward(nn.functional.cross_entropy(fitted.net(batch[0]), batch[1]))
        with torch.no_grad():
            for parameter, step in zip(fitted.parameters(), steps, strict=True):
                parameter.sub_(step)
        used.append(twins.l2(torch.cat([p.grad.flatten() for p in fitted.parameters()])))
        optimizer.step()

    used = []
    fitted.training_step = training_step
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(fitted, data())
    assert [frame.norm for frame in watch.report.frames] == pytest.approx(used, rel=1e-6)
    assert [len(frame.ledgers) for frame in watch.report.frames] == [2] * 8
