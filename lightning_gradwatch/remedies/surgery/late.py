"""Networks that are built late (``configure_model``): treated when their weights are about to be loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


def before_loading(model: nn.Module, act: Callable[[], None]) -> None:
    """Call once when a ``state_dict`` is loaded into this network, before its parts get theirs.

    Example:
        >>> model, told = nn.Linear(1, 1), []
        >>> before_loading(model, lambda: told.append("now"))
        >>> for _ in range(2):
        ...     _ = model.load_state_dict(model.state_dict())
        >>> told
        ['now']
    """

    def hook(*_: Any) -> None:
        handle.remove()
        act()

    handle = model.register_load_state_dict_pre_hook(hook)
