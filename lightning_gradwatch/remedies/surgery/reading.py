"""Follows a network's code from input to loss without running it, and notes which calls feed which.

The code is read (``ast``), not executed: a value is either known (a module, a number, a list of modules) or one that
data would have, of which only the calls that it comes from are known.  What cannot be followed passes on what it got.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lightning_gradwatch.remedies.surgery.flow import Flow, Way, registered
from lightning_gradwatch.remedies.surgery.reader import Reader

# Where the data enters, by the name of the method.
_BEGINNINGS = ("forward", "training_step")


def read(model: nn.Module) -> Flow:
    """What feeds what in a network.

    Args:
        model: the network; nothing of it is run or changed.
    """
    return Flow([way for name in _BEGINNINGS if (way := _way(model, name)) is not None], registered(model))


def _way(model: nn.Module, name: str) -> Way | None:
    if not _has(model, name):
        return None
    reader = Reader()
    try:
        reader.enter(model, name)
    except Exception:  # code that cannot be read is no fault: the order of registration is left
        return None
    return reader.way if reader.way.calls else None


def _has(model: nn.Module, name: str) -> bool:
    method: Any = getattr(type(model), name, None)
    return method is not None and not str(getattr(method, "__module__", "")).startswith(
        ("lightning.", "pytorch_lightning.")
    )
