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
        here = [i for i, tensor in enumerate(tensors) if tensor.device == device]
        wide = torch.float32 if device.type == "mps" else torch.float64  # mps has no float64
        packed = torch.cat([tensors[i].detach().reshape(-1).to(wide) for i in here]).tolist()
        start = 0
        for i in here:
            values[i] = packed[start : start + tensors[i].numel()]
            start += tensors[i].numel()
    return values
