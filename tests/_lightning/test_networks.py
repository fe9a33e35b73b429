"""Networks: inside what wraps them, built early or late."""

import importlib
import types

import torch

from lightning_gradwatch import _lightning
from tests.callbacks.fits import both_namespaces, data, module, network, trainer


def test_an_engine_is_asked_for_its_norm_only_if_it_can_tell():
    engine = types.SimpleNamespace(get_global_grad_norm=lambda: torch.tensor(3.0))
    for model, found in ((engine, engine), (None, "module")):
        runner = types.SimpleNamespace(strategy=types.SimpleNamespace(model=model))
        assert _lightning.engine(runner, "module") is found
    assert _lightning.engine_norm(engine) == 3.0
    assert _lightning.engine_norm(types.SimpleNamespace(get_global_grad_norm=lambda: None)) is None
    assert _lightning.engine_norm(torch.nn.Linear(1, 1)) is None


@both_namespaces
def test_a_module_was_fitted_once_a_trainer_has_had_it(namespace):
    fitted = module(namespace, network())
    assert not _lightning.was_fitted(fitted)
    trainer(namespace, max_steps=1).fit(fitted, data())
    assert _lightning.was_fitted(fitted)
    assert not _lightning.was_fitted(torch.nn.Linear(1, 1))


def test_the_network_inside_the_wrappers():
    inside = torch.nn.Linear(1, 1)
    assert _lightning.unwrapped_module(torch.nn.DataParallel(inside)) is inside
    assert _lightning.unwrapped_module(inside) is inside


@both_namespaces
def test_a_module_that_builds_its_parts_late(namespace):
    class Late(importlib.import_module(namespace).LightningModule):
        def configure_model(self):
            self.layer = torch.nn.Linear(1, 1)

    assert _lightning.builds_late(Late())
    assert not _lightning.builds_late(module(namespace, network()))
    assert not _lightning.builds_late(torch.nn.Linear(1, 1))


def test_data_parallelism_wraps_a_changed_network_again():
    class DistributedDataParallel:
        def __init__(self, network):
            self.network = network

    def strategy(model):
        return types.SimpleNamespace(model=model, _setup_model=DistributedDataParallel)

    net = torch.nn.Linear(1, 1)
    wrapped = strategy(DistributedDataParallel(None))
    assert _lightning.wrap_again(types.SimpleNamespace(strategy=wrapped), net) == ""
    assert wrapped.model.network is net
    assert _lightning.wrap_again(types.SimpleNamespace(strategy=strategy(net)), net) == ""
    told = _lightning.wrap_again(types.SimpleNamespace(strategy=strategy(torch.nn.Identity())), net)
    assert told == "SimpleNamespace has wrapped the network, which cannot be edited any more."
