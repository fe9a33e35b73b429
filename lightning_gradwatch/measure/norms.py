"""Norms that are right over the whole range of the number format.

The plain float32 L2 norm is 0 below elements of about 1e-23 and inf above about 1e18, because it squares them.  Here a
vanished gradient is not mistaken for none, nor a large one for an overflow.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_gradwatch.anatomy.sharding import local

# Inside these bounds the squares neither underflow nor overflow float32, whatever the elements: an element that is lost
# below 1e-19 then weighs less than float32's rounding of the sum.
_SAFE = (1e-15, 1e18)
# On a CPU torch sums the squares one after the other: over ten million elements float32 drifts by 4e-4.  Row by row it
# stays below 5e-7 for every format, and is quicker.
ROW = 4096


def l2(tensor: Tensor) -> Tensor:
    """The L2 norm as a 0-d float64 tensor on the tensor's device, right for elements from 1e-45 to 3e38.

    Any shape, real or complex, dense or sparse; an empty tensor's norm is 0.  No host synchronisation on accelerators.

    Example:
        >>> f"{l2(torch.full((4,), 1e-38)).item():.3g}"
        '2e-38'
    """
    values = dense(tensor)
    if values.numel() == 0:
        return torch.zeros((), dtype=torch.float64, device=_f64_device(values))
    if values.dtype == torch.float64:
        return _scaled(values)
    if values.device.type == "cpu":  # looking at a number costs nothing here; float64 costs 3 to 40 times float32
        quick = plain_l2(values)
        if is_safe(quick.item()):
            return quick.double()
    if values.device.type == "mps":  # has no float64
        return _scaled(values.float())
    return torch.linalg.vector_norm(values, dtype=torch.float64)


def l2_each(tensors: Sequence[Tensor]) -> Tensor:
    """``l2`` of each of several tensors on one device, in few launches: a float64 vector.

    Example:
        >>> [f"{norm:.3g}" for norm in l2_each([torch.tensor([3.0, 4.0]), torch.full((4,), 1e-30)]).tolist()]
        ['5', '2e-30']
    """
    values = [dense(tensor) for tensor in tensors]
    if not all(one.device.type == "cpu" and one.dtype != torch.float64 and one.numel() for one in values):
        return torch.stack([l2(one) for one in values])
    quick = plain_l2_each(values).double()
    for i, norm in enumerate(quick.tolist()):
        if not is_safe(norm):
            quick[i] = l2(values[i])
    return quick


def plain_l2_each(values: Sequence[Tensor]) -> Tensor:
    """``plain_l2`` of each: small ones together, large ones on a CPU one by one, where float32 would drift."""
    apart = [values[0].device.type == "cpu" and one.numel() > ROW for one in values]
    large = [plain_l2(one) for one, alone in zip(values, apart, strict=True) if alone]
    small = [one for one, alone in zip(values, apart, strict=True) if not alone]
    wide = torch.float64 if values[0].dtype == torch.float64 else torch.float32
    foreach_norm = torch._foreach_norm  # pyright: ignore[reportPrivateImportUsage]
    norms = (iter(foreach_norm(small, 2, dtype=wide) if small else ()), iter(large))
    found = [next(norms[alone]) for alone in apart]
    return torch.stack([norm.double() for norm in found] if large else found)


def plain_l2(values: Tensor) -> Tensor:
    """The L2 norm of plain values, accumulated in float32 (float64 where they are); wrong where ``is_safe`` says no.

    Example:
        >>> plain_l2(torch.full((1000,), 300.0, dtype=torch.bfloat16)).round().item()
        9487.0
    """
    wide = torch.float64 if values.dtype == torch.float64 else torch.float32
    count = values.numel()
    if count <= ROW or wide == torch.float64 or values.device.type != "cpu":
        return torch.linalg.vector_norm(values, dtype=wide)
    flat, whole = values.reshape(-1), count - count % ROW
    rows = torch.linalg.vector_norm(flat[:whole].view(-1, ROW), dim=1, dtype=wide)
    rest = torch.linalg.vector_norm(flat[whole:], dtype=wide)
    return torch.linalg.vector_norm(torch.cat([rows, rest.reshape(1)]).double())


def is_safe(norm: float) -> bool:
    """Whether a norm that float32 accumulated can be trusted: no square of its parts left the range."""
    return _SAFE[0] < norm < _SAFE[1]


def joint_l2(tensors: list[Tensor]) -> Tensor:
    """The L2 norm of several tensors taken together: the root of the sum of their squares."""
    norms = [l2(tensor) for tensor in tensors]
    return norms[0] if len(norms) == 1 else _scaled(torch.stack(norms))


def dense(tensor: Tensor) -> Tensor:
    """The stored values of a gradient, as plain real numbers: sparse ones coalesced, complex ones as pairs.

    Of a tensor that is spread over ranks the part of this rank, of a nested tensor the values of all its parts.
    """
    values = local(tensor)
    if values.is_nested:
        jagged = values.layout == torch.jagged
        values = values.values() if jagged else torch.cat([part.reshape(-1) for part in values.unbind()])
    if values.layout != torch.strided:
        values = values.coalesce().values() if values.layout == torch.sparse_coo else values.to_dense()
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values


def _scaled(values: Tensor) -> Tensor:
    """Divide by the largest element, take the norm, multiply back (Blue 1978, "A portable Fortran program ...")."""
    largest = torch.linalg.vector_norm(values, ord=float("inf"))
    divisor = torch.where((largest > 0) & largest.isfinite(), largest, torch.ones_like(largest))
    return divisor * torch.linalg.vector_norm(values / divisor)


def _f64_device(values: Tensor) -> torch.device:
    return torch.device("cpu") if values.device.type == "mps" else values.device
