"""What a layer's operation is given, read from what its autograd node saved anyway."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_gradwatch.measure.activations import saved, thinned
from lightning_gradwatch.measure.graph import Node
from lightning_gradwatch.measure.norms import l2
from lightning_gradwatch.measure.operations import family, operation

# operation -> where it keeps its factors, and their places among its inputs: one of them is the weight
_PRODUCTS = {
    "Addmm": (("mat1", 1), ("mat2", 2)),
    "Addmv": (("vec", 2), ("self", 1)),
    "Mm": (("self", 0), ("mat2", 1)),
    "Mv": (("vec", 1), ("self", 0)),
    "Bmm": (("self", 0), ("mat2", 1)),
    "Baddbmm": (("batch1", 1), ("batch2", 2)),
}


def given(node: Node) -> Tensor | None:
    """Root mean square of what a layer's operation works on, a 0-d tensor; None where its node does not keep it.

    Args:
        node: an operation that uses parameters, before the backward pass frees it.
    """
    value = saved(node, _attribute(node))
    if value is None or value.numel() == 0 or not (value.is_floating_point() or value.is_complex()):
        return None
    few = thinned(torch.view_as_real(value.resolve_conj()).norm(dim=-1) if value.is_complex() else value)
    return l2(few) / math.sqrt(few.numel())


def _attribute(node: Node) -> str:
    factors = _PRODUCTS.get(operation(node.name()))
    if factors is None:
        return "input"  # convolutions, normalisations, fused recurrent layers
    (first, place), (second, other) = factors
    # A layer's weight is the second factor, unless the network multiplies the other way round.
    return second if is_parameter(node, place) and not is_parameter(node, other) else first


def is_parameter(node: Node, place: int) -> bool:
    """Whether the operation's input at that place is a parameter, or a view of one."""
    below = node.next_functions[place][0]
    while below is not None and not hasattr(below, "variable"):
        if family(operation(below.name())) not in ("view", "parameter"):
            return False
        below = below.next_functions[0][0] if below.next_functions else None
    return below is not None
