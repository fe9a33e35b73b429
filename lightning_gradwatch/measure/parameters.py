"""The parameter meter: what each parameter's gradient looks like when the optimizer is about to use it.

One multi-tensor pass a (device, dtype) bucket with float32 accumulation; what float32 cannot tell (exactly 0 or inf) is
measured again in a way that can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.anatomy.sharding import copies
from lightning_gradwatch.measure.norms import dense, is_safe, l2, plain_l2_each

STATISTICS = ("norm", "max", "nonzero", "nonfinite")


@dataclass(frozen=True)
class Owned:
    """One parameter of one optimizer."""

    name: str
    parameter: Tensor
    optimizer: int
    copies: int = 0  # on how many ranks the very same slice of it lies; 0: every rank has the whole
    whole: int = -1  # how many elements it has on all ranks together; -1: as many as here

    @property
    def size(self) -> int:
        """How many elements the whole parameter has."""
        return self.parameter.numel() if self.whole < 0 else self.whole


def owned_by(
    optimizer: Any,
    index: int,
    names: Mapping[int, str],
    ranks: int = 1,
    flat: Mapping[int, tuple[int, int]] | None = None,
) -> list[Owned]:
    """The parameters of one optimizer that need a gradient, each once.

    Args:
        optimizer: a torch optimizer.
        index: its place among the fit's optimizers.
        names: ``id(parameter)`` -> its name; parameters of no module are told by their place, and left out where they
            get no gradient: a layer that was taken out of the model lingers in its optimizer.
        ranks: how many ranks there are.
        flat: what ``flat_slices`` says of the model.
    """
    held = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    wanted = [p for p in held if id(p) in names or p.grad is not None]
    unique = {id(parameter): parameter for parameter in wanted}.values()
    return [
        Owned(
            names.get(id(each), f"optimizer[{index}].param[{place}]"),
            each,
            index,
            *(flat or {}).get(id(each), (copies(each, ranks), -1)),
        )
        for place, each in enumerate(unique)
    ]


def gradient_statistics(gradients: Sequence[Tensor]) -> Tensor:
    """Norm, largest absolute value, count of non-zero and of non-finite elements of each gradient.

    Args:
        gradients: tensors on one device, any dtypes, shapes and layouts.

    Returns:
        A float64 tensor of shape ``(4, len(gradients))`` on that device, rows as in ``STATISTICS``.

    Example:
        >>> gradient_statistics([torch.tensor([3.0, -4.0, 0.0])]).flatten().tolist()
        [5.0, 4.0, 2.0, 0.0]
    """
    table = torch.zeros((len(STATISTICS), len(gradients)), dtype=torch.float64, device=_table_device(gradients))
    for (_, pairs), bucket in _buckets(gradients).items():
        indices, values = zip(*bucket, strict=True)
        table[:, list(indices)] = _bucket_statistics(values, pairs)
    return table


def _buckets(gradients: Sequence[Tensor]) -> Mapping[tuple[torch.dtype, bool], list[tuple[int, Tensor]]]:
    """The gradients as (index, plain values), by their dtype and whether a pair of values is one complex number.

    Empty ones have nothing to say: all their statistics are 0.
    """
    buckets: dict[tuple[torch.dtype, bool], list[tuple[int, Tensor]]] = {}
    for index, gradient in enumerate(gradients):
        values = dense(gradient)
        if values.numel():
            buckets.setdefault((values.dtype, gradient.is_complex()), []).append((index, values))
    return buckets


def _bucket_statistics(values: Sequence[Tensor], pairs: bool) -> Tensor:
    tensors = list(values)
    elements = [torch.view_as_complex(tensor) for tensor in tensors] if pairs else tensors
    norms = plain_l2_each(tensors).double()
    largest = _largest(elements).double()
    nonzero = torch.stack([torch.count_nonzero(tensor) for tensor in elements]).double()
    nonfinite = torch.zeros_like(norms)
    for i in _suspects(norms):
        norms[i] = l2(tensors[i])
        nonfinite[i] = elements[i].numel() - elements[i].isfinite().sum()
    return torch.stack([norms, largest, nonzero, nonfinite])


def _largest(tensors: Sequence[Tensor]) -> Tensor:
    """Largest absolute value of each; one pass, ten times quicker on a CPU than the infinity norm."""
    if tensors[0].is_complex():
        return torch.stack([tensor.abs().max() for tensor in tensors])
    lows, highs = zip(*[torch.aminmax(tensor) for tensor in tensors], strict=True)
    return torch.maximum(torch.stack(highs), -torch.stack(lows)).abs()  # never -0.0


def _suspects(norms: Tensor) -> list[int]:
    """Indices of the norms that float32 may have got wrong.

    On the CPU a look is free.  On an accelerator it would be a synchronisation, so that every one is suspect there:
    ``l2`` accumulates in float64 and no number leaves the device.
    """
    if norms.device.type != "cpu":
        return list(range(len(norms)))
    return [i for i, norm in enumerate(norms.tolist()) if not is_safe(norm)]


def _table_device(gradients: Sequence[Tensor]) -> torch.device:
    device = gradients[0].device if gradients else torch.device("cpu")
    return torch.device("cpu") if device.type == "mps" else device
