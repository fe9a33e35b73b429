"""Names of number formats, and those that the gradients inside a stretch of a graph have."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch


@functools.lru_cache(maxsize=64)
def dtype_name(dtype: torch.dtype) -> str:
    """The format's name as records know it.

    Example:
        >>> dtype_name(torch.float16)
        'float16'
    """
    return str(dtype).rpartition(".")[2]


def formats_in(nodes: Iterable[Any]) -> tuple[str, ...]:
    """The formats of the gradients that enter these operations, each once; autograd knows them before the backward.

    Under autocast a stretch may begin and end in float32 and lose its gradient to float16 in between.
    """
    found = [getattr(item, "dtype", None) for node in nodes for item in getattr(node, "_input_metadata", ())]
    return tuple(dict.fromkeys(dtype_name(dtype) for dtype in found if isinstance(dtype, torch.dtype)))
