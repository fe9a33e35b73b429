"""What every hook on an autograd node minds that reads the gradients which enter it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from lightning_gradwatch.anatomy.sharding import is_partial


class Reader(Protocol):
    """Who keeps a norm for each of several nodes, and the first error of reading one."""

    error: Exception | None
    norms: list[Tensor | None]


def prehook(reader: Reader, index: int, take: Callable[[int, list[Tensor]], None]) -> Any:
    """A hook that hands on the gradients which enter a node: once, whole ones only, and never an error of ours.

    Args:
        reader: who reads; nothing is handed on where it has a norm at that index already.
        index: the place of the node.
        take: is given the place, and the gradients that are there.
    """

    def read(gradients: tuple[Tensor | None, ...]) -> None:
        if reader.norms[index] is not None or reader.error is not None:  # a second backward through the same graph
            return
        try:
            present = [g for g in gradients if g is not None]
            if present and not any(map(is_partial, present)):
                take(index, present)
        except Exception as error:  # would otherwise surface in the middle of the user's backward
            reader.error = error

    return read
