"""From devices to the host: one packed copy a device, whatever there is to copy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def to_host(tensors: Sequence[Tensor]) -> list[list[float]]:
    """The values of each tensor, flattened, in one copy for each device.

    Example:
        >>> to_host([torch.tensor(1.5), torch.tensor([2, 3])])
        [[1.5], [2.0, 3.0]]
    """
    values: list[list[float]] = [[] for _ in tensors]
    for device in dict.fromkeys(tensor.device for tensor in tensors):
        wide = torch.float32 if device.type == "mps" else torch.float64  # mps has no float64
        alike: dict[tuple[torch.dtype, bool], list[int]] = {}  # of one format, single numbers apart: one launch each
        for i, tensor in enumerate(tensors):
            if tensor.device == device:
                alike.setdefault((tensor.dtype, tensor.dim() == 0), []).append(i)
        with torch.no_grad():
            parts = [_joined([tensors[i] for i in group], single) for (_, single), group in alike.items()]
            packed = torch.cat([part.to(wide) for part in parts]).tolist()
        start = 0
        for i in [i for group in alike.values() for i in group]:
            count = tensors[i].numel()
            values[i] = packed[start : start + count]
            start += count
    return values


def _joined(tensors: list[Tensor], single: bool) -> Tensor:
    return torch.stack(tensors) if single else torch.cat([tensor.reshape(-1) for tensor in tensors])
