"""What a Trainer does around a step is done around the step of a copy."""

import pytest
import torch

from lightning_gradwatch import _lightning
from tests.callbacks.fits import both_namespaces, data, module, network, trainer


def clipped(namespace, **options):
    """The largest gradient of two, 3 and 4, after the clipping of a Trainer with these options; None: it has none."""
    found = []

    def look(own, batch):
        clip = _lightning.rehearsal(own.trainer, own)["clip"]
        weight = torch.nn.Parameter(torch.zeros(2))
        weight.grad = torch.tensor([3.0, 4.0])
        if clip is not None:
            clip(torch.optim.SGD([weight], 0.1))
        found.append(None if clip is None else round(weight.grad.max().item(), 4))

    fitted = module(namespace, network(), on_step=look)
    trainer(namespace, limit_train_batches=1, **options).fit(fitted, data())
    return found[0]


@both_namespaces
@pytest.mark.parametrize(
    ("options", "largest"),
    [
        ({}, None),
        ({"gradient_clip_val": 1.0}, 0.8),
        ({"gradient_clip_val": 1.0, "gradient_clip_algorithm": "value"}, 1.0),
    ],
    ids=["none", "by norm", "by value"],
)
def test_clipping(options, largest, namespace):
    assert clipped(namespace, **options) == largest


@both_namespaces
def test_autocast(namespace):
    kinds = []

    def look(own, batch):
        with _lightning.rehearsal(own.trainer, own)["context"]():
            kinds.append(torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype)

    fitted = module(namespace, network(), on_step=look)
    trainer(namespace, limit_train_batches=1, precision="bf16-mixed").fit(fitted, data())
    assert kinds == [torch.bfloat16]
