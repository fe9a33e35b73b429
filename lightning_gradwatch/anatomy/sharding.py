"""Tensors that are spread over ranks (DTensor: FSDP2, tensor parallel): this rank's part, and who else holds it.

Asks a tensor for its ``placements`` instead of importing DTensor, whose name and class differ between torch versions.
Nothing here talks to another rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lightning_gradwatch.anatomy.names import every_module


def is_spread(tensor: Tensor) -> bool:
    """Whether this is a DTensor.

    Example:
        >>> import torch
        >>> is_spread(torch.ones(2))
        False
    """
    return type(tensor) not in (Tensor, nn.Parameter) and hasattr(tensor, "placements")


def local(tensor: Any) -> Tensor:
    """The part that this rank holds; a plain tensor is its own.  No communication, no copy."""
    if is_spread(tensor):
        return tensor.detach().to_local()
    return tensor.detach() if tensor.requires_grad else tensor


def is_sliced(tensor: Any) -> bool:
    """Whether this rank holds only a part of the tensor."""
    return is_spread(tensor) and _replicas(tensor.device_mesh, tensor.placements) < tensor.device_mesh.size()


def is_partial(tensor: Any) -> bool:
    """Whether each rank holds a summand of the tensor: then no rank's part says anything of the whole."""
    return is_spread(tensor) and any(placement.is_partial() for placement in tensor.placements)


def copies(tensor: Any, ranks: int) -> int:
    """On how many of ``ranks`` ranks the very same part lies; 0: every one of them holds the whole tensor."""
    if not is_spread(tensor):
        return 0
    same = _replicas(tensor.device_mesh, tensor.placements) * max(1, ranks // tensor.device_mesh.size())
    return 0 if same >= ranks else same


def activation_copies(tensor: Any, plain: int) -> int:
    """On how many ranks of one data-parallel group the same part of an activation, or of its gradient, lies.

    Args:
        tensor: the activation.
        plain: what holds for a plain tensor at this place.
    """
    return _replicas(tensor.device_mesh, tensor.placements) if is_spread(tensor) else plain


def plain_copies(nodes: Sequence[Any], group: int) -> list[int]:
    """For each node of a trunk, loss first: on how many ranks of a tensor-parallel group the same plain tensor lies.

    A layer under tensor parallelism hands plain tensors on, whole ones or slices; which of the two, the conversion
    ``_ToTorchTensor`` nearest below the node remembers.  Below the deepest one stands the input, which all have whole.
    """
    found, here = [], group
    for node in reversed(nodes):
        spec = getattr(node, "dtensor_spec", None) if "ToTorchTensor" in node.name() else None
        if spec is not None:
            here = _replicas(getattr(spec, "mesh", None) or spec.device_mesh, spec.placements)
        found.append(here)
    return found[::-1]


def gathered_names(model: nn.Module, names: Mapping[int, str]) -> dict[int, str]:
    """``id(parameter)`` -> its name, of the whole parameters that FSDP2 gathers for the forward.

    They stand in the autograd graph in place of those that ``named_parameters`` names, and exist from the first forward
    on.  The way to them is private to torch: where it has changed there are no names, never an error.

    Args:
        model: the network.
        names: ``id(parameter)`` -> its name, of the parts that the optimizer owns.
    """
    found: dict[int, str] = {}
    for module in every_module(model):
        for each in _fsdp_params(module):
            part, whole = getattr(each, "sharded_param", None), getattr(each, "_unsharded_param", None)
            if whole is not None and id(part) in names:
                found[id(whole)] = names[id(part)]
    return found


def _fsdp_params(module: Any) -> Iterator[Any]:
    if hasattr(type(module), "_get_fsdp_state"):  # asking a module itself for what it has not is slow
        state = module._get_fsdp_state()
        groups = getattr(state, "_fsdp_param_groups", None)  # one in earlier versions of torch
        for group in [getattr(state, "_fsdp_param_group", None)] if groups is None else groups:
            yield from getattr(group, "fsdp_params", ())


def flat_slices(model: nn.Module, ranks: int) -> dict[int, tuple[int, int]]:
    """``id(parameter)`` -> (on how many ranks the same slice of it lies, elements of the whole), of the first FSDP.

    It lays many parameters out in a flat one and cuts that into slices, so that a rank may hold a part of a parameter,
    as a plain tensor that does not say so.
    """
    found: dict[int, tuple[int, int]] = {}
    for module in every_module(model):
        handle: Any = vars(module).get("_handle")  # asking a module for what it has not is slow
        flat = getattr(handle, "flat_param", None)
        if flat is None or not getattr(handle, "uses_sharded_strategy", True):
            continue
        same = max(1, ranks // handle.process_group.size())
        found[id(flat)] = (same, int(flat._unpadded_unsharded_size.numel()))
        sizes = zip(getattr(flat, "_params", None) or (), flat._numels, strict=False)
        found.update({id(parameter): (same, int(size)) for parameter, size in sizes})
    return found


def plain_class(kind: type) -> type:
    """The class that the user built a module from: ``fully_shard`` puts one of its own before it.

    Example:
        >>> plain_class(nn.Linear).__name__
        'Linear'
    """
    kinds = kind.__mro__
    return kinds[2] if kinds[1].__name__ == "FSDPModule" else kinds[0]


def _replicas(mesh: Any, placements: Sequence[Any]) -> int:
    return math.prod(mesh.size(i) for i, placement in enumerate(placements) if placement.is_replicate())
