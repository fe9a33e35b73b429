"""The gradients that an optimizer is about to step with: their length, and how to shorten them.

Nothing in here asks a device for a number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.anatomy.sharding import is_spread, local
from lightning_gradwatch.measure.norms import l2_each


def gradients_of(optimizer: Any, ids: Collection[int] | None = None) -> list[Tensor]:
    """Those that there are, of the parameters asked for; None: of all."""
    parameters = (p for group in optimizer.param_groups for p in group["params"])
    return [p.grad for p in parameters if p.grad is not None and (ids is None or id(p) in ids)]


def unit(optimizer: Any) -> Any:
    """What these gradients are multiplied by: a fused optimizer divides by AMP's loss scale in its own kernel."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else scale


def norm_of(gradients: Sequence[Tensor]) -> Tensor:
    """The L2 norm of all together, a 0-d float64 tensor; where they are spread over ranks, of the whole.

    Example:
        >>> norm_of([torch.tensor([3.0]), torch.tensor([[4.0]])])
        tensor(5., dtype=torch.float64)
    """
    whole = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in gradients if is_spread(g)]
    parts = [norm.full_tensor().reshape(1).double() for norm in whole]  # pyright: ignore[reportAttributeAccessIssue]
    parts += [l2_each(some) for some in _by_device(g for g in gradients if not is_spread(g))]
    return torch.linalg.vector_norm(torch.cat([part.to(gradients[0].device) for part in parts]))


def _by_device(gradients: Iterable[Tensor]) -> list[list[Tensor]]:
    found: dict[Any, list[Tensor]] = {}
    for gradient in gradients:
        found.setdefault((gradient.device, gradient.dtype), []).append(gradient)
    return list(found.values())


def multiply(gradients: Iterable[Tensor], by: Tensor) -> None:
    """Shorten gradients in place, sparse ones too."""
    for gradient in gradients:
        values = _values(gradient)
        values.mul_(by.to(values.device, _real(values.dtype)))


def silence(gradients: Iterable[Tensor], unless: Tensor) -> None:
    """Put zeros in their place, unless that condition holds."""
    for gradient in gradients:
        values = _values(gradient)
        values.masked_fill_(~unless.to(values.device), 0)


def limit(gradients: Iterable[Tensor], to: Any) -> None:
    """No element beyond ``to`` on either side of zero; real and imaginary parts apart.

    Example:
        >>> gradient = torch.tensor([-3.0, 0.5])
        >>> limit([gradient], 1.0)
        >>> gradient
        tensor([-1.0000,  0.5000])
    """
    for gradient in gradients:
        values = _values(gradient)
        values = torch.view_as_real(values) if values.is_complex() else values
        bound = torch.as_tensor(to, dtype=values.dtype, device=values.device)
        values.clamp_(-bound, bound)


def _values(gradient: Tensor) -> Tensor:
    """The numbers themselves: this rank's, and of a sparse gradient those that are there, each once."""
    if gradient.layout == torch.sparse_coo:
        if not gradient.is_coalesced():
            gradient.copy_(gradient.coalesce())
        return gradient._values()
    return local(gradient)


def _real(dtype: torch.dtype) -> torch.dtype:
    return torch.empty((), dtype=dtype).real.dtype if dtype.is_complex else dtype
