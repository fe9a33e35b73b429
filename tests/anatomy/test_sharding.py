"""What a spread tensor tells of itself, by stand-ins; tests/fits/test_sharded.py has real ones."""

import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import inspect_model, sharding


class Mesh:
    def __init__(self, *sizes):
        self.sizes = sizes

    def size(self, dim=None):
        return math.prod(self.sizes) if dim is None else self.sizes[dim]


class Placed:
    def __init__(self, kind):
        self.kind = kind

    def is_replicate(self):
        return self.kind == "R"

    def is_partial(self):
        return self.kind == "P"


class Spread(torch.Tensor):
    """As much of a DTensor as is asked for."""


def spread(kinds, mesh):
    tensor = torch.ones(2).as_subclass(Spread)
    tensor.placements, tensor.device_mesh = tuple(map(Placed, kinds)), mesh
    return tensor


@pytest.mark.parametrize(
    ("kinds", "mesh", "ranks", "copies", "sliced"),
    [
        ("S", Mesh(2), 2, 1, True),  # FSDP2
        ("RS", Mesh(2, 2), 4, 2, True),  # HSDP
        ("SS", Mesh(2, 2), 4, 1, True),  # FSDP2 and tensor parallel
        ("SR", Mesh(2, 2), 4, 2, True),
        ("S", Mesh(2), 4, 2, True),  # a mesh over a part of the world
        ("R", Mesh(2), 2, 0, False),  # all have the whole
        ("R", Mesh(2), 4, 0, False),
        ("S", Mesh(1), 1, 0, False),  # one process has the only slice
    ],
)
def test_who_else_holds_the_same_slice(kinds, mesh, ranks, copies, sliced):
    tensor = spread(kinds, mesh)
    assert sharding.is_spread(tensor)
    assert sharding.copies(tensor, ranks) == copies
    assert sharding.is_sliced(tensor) == sliced
    assert not sharding.is_partial(tensor)


def test_a_plain_tensor_is_whole_everywhere():
    weight = nn.Parameter(torch.ones(2))
    assert not sharding.is_spread(weight)
    assert sharding.copies(weight, 8) == 0
    assert not sharding.is_partial(weight)
    assert sharding.local(weight).data_ptr() == weight.data_ptr()
    assert not sharding.local(weight).requires_grad
    assert sharding.activation_copies(weight, 3) == 3


def test_a_summand_is_told():
    assert sharding.is_partial(spread("SP", Mesh(2, 2)))


class Node:
    def __init__(self, name, kinds=None):
        self._name = name
        if kinds:
            self.dtensor_spec = type("Spec", (), {"mesh": Mesh(2), "placements": tuple(map(Placed, kinds))})

    def name(self):
        return self._name


def test_plain_activations_are_what_the_conversion_below_them_made():
    nodes = [
        Node("MeanBackward0"),
        Node("_ToTorchTensorBackward", "R"),
        Node("AddmmBackward0"),
        Node("TanhBackward0"),
        Node("_ToTorchTensorBackward", "S"),
        Node("AddmmBackward0"),
    ]
    assert sharding.plain_copies(nodes, 2) == [2, 2, 1, 1, 1, 2]


def test_names_of_what_fsdp2_gathers_and_none_where_torch_has_changed():
    class Sharded(nn.Linear):
        def _get_fsdp_state(self):
            return type("State", (), self.now)

    model = nn.Sequential(Sharded(2, 1))
    part, whole = model[0].weight, nn.Parameter(torch.ones(1, 2))
    each = type("FSDPParam", (), {"sharded_param": part, "_unsharded_param": whole})
    group = type("Group", (), {"fsdp_params": [each]})
    names = {id(part): "0.weight"}
    for state in ({"_fsdp_param_groups": [group]}, {"_fsdp_param_group": group}):
        model[0].now = state
        assert sharding.gathered_names(model, names) == {id(whole): "0.weight"}
    for state in ({}, {"_fsdp_param_group": None}, {"_fsdp_param_groups": [object()]}):
        model[0].now = state
        assert sharding.gathered_names(model, names) == {}


def test_the_users_class_behind_fully_shard():
    base = type("FSDPModule", (), {})
    layer = nn.Linear(2, 1)
    layer.__class__ = type("FSDPLinear", (base, nn.Linear), {})
    assert inspect_model(nn.Sequential(layer)).layers[0].type == "Linear"


def test_slices_of_the_first_fsdp():
    model, group = nn.Sequential(nn.Linear(2, 1)), type("Group", (), {"size": lambda: 2})
    weight, bias = model[0].weight, model[0].bias
    flat = nn.Parameter(torch.ones(2))
    flat._params, flat._numels, flat._unpadded_unsharded_size = [weight, bias], (2, 1), torch.Size([3])
    handle = type("Handle", (), {"flat_param": flat, "uses_sharded_strategy": True, "process_group": group})
    assert sharding.flat_slices(model, 4) == {}
    model[0]._handle = handle
    assert sharding.flat_slices(model, 4) == {id(flat): (2, 3), id(weight): (2, 2), id(bias): (2, 1)}
    [layer] = inspect_model(model, sharding.flat_slices(model, 4)).layers
    assert (layer.parameters, layer.fan_in, layer.weight_std) == (3, None, None)
    handle.uses_sharded_strategy = False
    assert sharding.flat_slices(model, 4) == {}
