"""Optimizers: torch's own, and wrappers that imitate them."""

import torch

from lightning_gradwatch import _lightning
from tests.callbacks.fits import both_namespaces, data, module, network, trainer


class Own(torch.optim.Adam):
    """What a treatment may make of an optimizer."""


@both_namespaces
def test_wrappers_imitate_the_class_that_an_optimizer_has_now(namespace):
    def become_own(own, batch):
        [wrapper], [raw] = own.trainer.strategy._lightning_optimizers, _lightning.optimizers_of(own.trainer)
        assert _lightning.unwrapped(wrapper) is raw
        assert _lightning.unwrapped(raw) is raw
        if batch == 1:
            raw.__class__ = Own
            _lightning.rename_wrappers(own.trainer)
        names.append(type(wrapper).__name__)
        kinds.append(isinstance(wrapper, Own))

    names, kinds = [], []
    fitted = module(namespace, network(), "Adam", on_step=become_own)
    trainer(namespace, limit_train_batches=2).fit(fitted, data())
    assert names == ["LightningAdam", "LightningOwn"]
    assert kinds == [False, True]
