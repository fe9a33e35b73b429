"""The LightningModule of a case, in both Lightnings."""

import importlib

import pytest
import torch
from torch import nn

from lightning_gradwatch._lightning import NAMESPACES
from lightning_gradwatch.cases.classifier import classifier
from lightning_gradwatch.errors import WrongArgument


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_is_a_module_of_the_lightning_that_was_asked_for(namespace):
    pytest.importorskip(namespace)
    module = classifier(nn.Linear(2, 2), namespace=namespace)
    assert isinstance(module, importlib.import_module(namespace).LightningModule)


def test_two_classifiers_share_no_network():
    one, two = nn.Linear(2, 2), nn.Linear(2, 2)
    first, second = classifier(one), classifier(two)
    assert (first.network, second.network) == (one, two)


def test_trains_the_network_by_adam_at_the_rate():
    network = nn.Linear(2, 2)
    optimizer = classifier(network, rate=0.5).configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.param_groups[0]["params"] == list(network.parameters())


def test_unknown_lightning_is_refused():
    with pytest.raises(WrongArgument, match=r"got 'thunder'\. Available: 'lightning.pytorch', 'pytorch_lightning'"):
        classifier(nn.Linear(2, 2), namespace="thunder")
