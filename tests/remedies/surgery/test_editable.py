"""Networks whose code cannot be changed from outside."""

import warnings

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.editable import obstacle
from tests.remedies.treatments import net


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(net(), torch.ones(1, 4))


def compiled():
    return torch.compile(net(), backend="eager")


def compiled_in_place():
    model = net()
    model.compile(backend="eager")
    return model


class FullyShardedDataParallel(nn.Module):
    def __init__(self):
        super().__init__()
        self._fsdp_wrapped_module = net()


class Sharded(nn.Module):
    """As ``fully_shard`` leaves a module."""

    def _get_fsdp_state(self):
        return None


FIXED = {
    "TorchScript": scripted,
    "It is compiled": compiled,
    "It is compiled ": compiled_in_place,
    "It is sharded": FullyShardedDataParallel,
    "It is sharded ": Sharded,
    "It is compiled, as a part of another": lambda: nn.Sequential(compiled(), nn.Sigmoid()),
}


@pytest.mark.parametrize("says", FIXED)
def test_says_why(says):
    sentence = obstacle(FIXED[says]())
    assert says.strip().split(",")[0] in sentence
    assert sentence.endswith(".")
    assert ": edit the network " in sentence


FREE = {
    "plain": net,
    "lazy": lambda: nn.LazyLinear(2),
    "without values": lambda: nn.Linear(2, 2, device="meta"),
    "wrapped": lambda: nn.DataParallel(net()),
}


@pytest.mark.parametrize("kind", FREE)
def test_everything_else_can_be_edited(kind):
    assert obstacle(FREE[kind]()) == ""
