"""Manual optimisation: several losses and backwards, retain_graph, second-order"""

import importlib

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer
from tests.reference import twins

pl = importlib.import_module(NAMESPACES[0])


def loss_of(fitted, batch):
    return nn.functional.cross_entropy(fitted.net(batch[0]), batch[1])


def manual(training_step, namespace=NAMESPACES[0], sick=False):
    fitted = module(namespace, network(sick), "SGD", rate=0.01)
    fitted.automatic_optimization = False
    fitted.training_step = lambda batch, batch_idx: training_step(fitted, batch)
    return fitted


def several_losses(fitted, batch):
    optimizer = fitted.optimizers()
    optimizer.zero_grad()
    for _ in range(3):
        fitted.manual_backward(loss_of(fitted, batch))
    optimizer.step()


def retained(fitted, batch):
    optimizer = fitted.optimizers()
    optimizer.zero_grad()
    loss = loss_of(fitted, batch)
    fitted.manual_backward(loss, retain_graph=True)
    fitted.manual_backward(loss)
    optimizer.step()


def gradient_penalty(fitted, batch):
    optimizer = fitted.optimizers()
    optimizer.zero_grad()
    x = batch[0].requires_grad_()
    score = fitted.net(x)
    [slope] = torch.autograd.grad(score.sum(), x, create_graph=True)
    fitted.manual_backward(nn.functional.cross_entropy(score, batch[1]) + (slope.norm(2, dim=1) - 1).square().mean())
    optimizer.step()


def inner_loop(fitted, batch):
    """One step of MAML: the loss after an inner step, differentiated through it."""
    optimizer = fitted.optimizers()
    optimizer.zero_grad()
    weights = dict(fitted.net.named_parameters())
    inner = nn.functional.cross_entropy(torch.func.functional_call(fitted.net, weights, (batch[0],)), batch[1])
    slopes = torch.autograd.grad(inner, list(weights.values()), create_graph=True)
    fast = {name: w - 0.01 * g for (name, w), g in zip(weights.items(), slopes, strict=True)}
    outer = torch.func.functional_call(fitted.net, fast, (batch[0],))
    fitted.manual_backward(nn.functional.cross_entropy(outer, batch[1]))
    optimizer.step()


def hessian_vector(fitted, batch):
    optimizer = fitted.optimizers()
    optimizer.zero_grad()
    loss = loss_of(fitted, batch)
    slopes = torch.autograd.grad(loss, list(fitted.parameters()), create_graph=True)
    fitted.manual_backward(loss + 1e-3 * sum(slope.square().sum() for slope in slopes))
    optimizer.step()


def truncated(fitted, batch):
    optimizer = fitted.optimizers()
    optimizer.zero_grad()
    for _ in range(20):
        fitted.manual_backward(loss_of(fitted, batch) / 20)
    optimizer.step()


STEPS = {
    "three losses in one step": (several_losses, ["loss", "loss[1]", "loss[2]"]),
    "the same loss twice, retain_graph": (retained, ["loss", "loss[1]"]),
    "gradient penalty": (gradient_penalty, ["loss"]),
    "MAML inner loop": (inner_loop, ["loss"]),
    "penalty on the gradient of the weights": (hessian_vector, ["loss"]),
    "twenty backwards in one step": (truncated, ["loss", *(f"loss[{i}]" for i in range(1, 8))]),
}


@both_namespaces
@pytest.mark.parametrize(("step", "names"), STEPS.values(), ids=STEPS.keys())
def test_ledgers_have_names_and_numbers_are_true(namespace, step, names):
    true = []

    def fit(callbacks):
        fitted = manual(step, namespace)
        built = fitted.configure_optimizers

        def configure_optimizers():
            optimizer = built()
            optimizer.register_step_pre_hook(
                lambda *_: true.append(twins.l2(torch.cat([p.grad.flatten() for p in fitted.parameters()])))
            )
            return optimizer

        fitted.configure_optimizers = configure_optimizers
        trainer(namespace, callbacks).fit(fitted, data())
        return [p.detach().clone() for p in fitted.parameters()]

    plain = fit([])
    true.clear()
    watch = GradWatch(every_n_steps=1, strict=True)
    watched = fit([watch])
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    assert [frame.norm for frame in watch.report.frames] == pytest.approx(true, rel=1e-6)
    for frame in watch.report.frames:
        assert [ledger.name for ledger in frame.ledgers] == names
    assert watch.report.findings == ()
    crowded = any("more than 8 backwards" in note for note in watch.report.notes)
    assert crowded is (step is truncated)


def test_of_several_losses_the_one_that_vanishes_is_named():
    """The main loss is fine; a second one reaches the first layers only through sigmoids."""

    class TwoHeads(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False
            self.stem, self.head = nn.Linear(64, 16), nn.Linear(16, 10)
            self.side = network(True)[2:]

        def training_step(self, batch, batch_idx):
            optimizer = self.optimizers()
            optimizer.zero_grad()
            stem = self.stem(batch[0])
            self.manual_backward(nn.functional.cross_entropy(self.head(stem), batch[1]), retain_graph=True)
            self.manual_backward(nn.functional.cross_entropy(self.side(stem.sigmoid()), batch[1]))
            optimizer.step()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.01)

    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(TwoHeads(), data())
    assert [finding.id for finding in watch.report.findings] == ["vanishing:loss[1]"]


def raw_backward(fitted, batch):
    optimizer = fitted.optimizers()
    optimizer.zero_grad()
    loss_of(fitted, batch).backward()
    optimizer.step()


@both_namespaces
def test_a_raw_backward_has_no_ledger_and_that_is_said_once(namespace, caplog):
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(namespace, [watch]).fit(manual(raw_backward, namespace), data())
    assert [frame.ledgers for frame in watch.report.frames] == [()] * 8
    assert all(frame.norm for frame in watch.report.frames)  # the optimizer's own gradients are seen all the same
    assert ["no backward of this step went through Lightning" in note for note in watch.report.notes] == [True]
    assert sum("no backward of this step" in record.message for record in caplog.records) == 1
    assert watch.report.findings == ()
