"""Networks: inside what wraps them, built early or late."""

import importlib
import types

import torch
from lightning.pytorch.callbacks import StochasticWeightAveraging

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
    _lightning.wrap_again(types.SimpleNamespace(strategy=wrapped), net)
    assert wrapped.model.network is net
    bare = strategy(net)
    _lightning.wrap_again(types.SimpleNamespace(strategy=bare), net)
    assert bare.model is net


def in_training(engine, size):
    return types.SimpleNamespace(strategy=type("FSDPStrategy", (), {"model": engine})(), world_size=size)


def test_what_cannot_be_wrapped_again_is_left():
    module = torch.nn.Linear(1, 1)
    assert _lightning.hindrance(in_training(module, 1), module) == ""
    told = _lightning.hindrance(in_training(torch.nn.Sequential(module), 2), module)
    assert told == "FSDPStrategy has wrapped the network, which cannot be edited any more."


def test_batch_normalisation_over_ranks_is_not_tried_in_copies():
    module = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.SyncBatchNorm(1))
    told = _lightning.hindrance(in_training(module, 2), module)
    assert told == "1 is a SyncBatchNorm, which talks to other ranks: copies would wait for theirs for ever."
    assert _lightning.hindrance(in_training(module, 1), module) == ""


class Averages(StochasticWeightAveraging):
    """A subclass of the user's."""


def test_who_holds_a_copy_of_the_network():
    trainer = types.SimpleNamespace(callbacks=[object(), Averages(1e-3)])
    assert _lightning.holds_copy(trainer) == "Averages"
    assert _lightning.holds_copy(types.SimpleNamespace(callbacks=[object()])) == ""
