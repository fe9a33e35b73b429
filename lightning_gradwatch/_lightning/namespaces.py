"""Lightning's two namespaces, and how a class becomes a callback of both."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any, TypeVar

from lightning_gradwatch._imports import when_imported
from lightning_gradwatch.errors import MissingExtra, WrongArgument

NAMESPACES = ("lightning.pytorch", "pytorch_lightning")
C = TypeVar("C", bound=type)


def namespace(name: str | None = None) -> ModuleType:
    """The Lightning to build on: the one named, else the first that is installed.

    Raises:
        WrongArgument: the name is not one of Lightning's two.
        MissingExtra: it, or either, is not installed.
    """
    if name is not None and name not in NAMESPACES:
        raise WrongArgument("namespace", "the name of a Lightning package", name, NAMESPACES)
    for candidate in NAMESPACES if name is None else (name,):
        module = _import(candidate)
        if module is not None:
            return module
    raise _no_lightning()


def namespace_of(trainer: Any) -> str:
    """The Lightning that a trainer belongs to."""
    homes = [kind.__module__ for kind in type(trainer).__mro__]
    return next(name for name in NAMESPACES if any(home.startswith(f"{name}.") for home in homes))


def callback_bases() -> tuple[type, ...]:
    """The ``Callback`` class of every Lightning that is imported; of the first that is installed, if none is.

    Raises:
        MissingExtra: neither is installed.
    """
    imported = [module for name in NAMESPACES if (module := sys.modules.get(name)) and hasattr(module, "Callback")]
    return tuple(dict.fromkeys(module.Callback for module in imported or [namespace()]))


def callback_in_both(kind: C) -> C:
    """Make a class of callbacks one in the other Lightning too, its instances included, as soon as that is imported."""

    def join() -> None:
        missing = [base for base in callback_bases() if not issubclass(kind, base)]
        with suppress(TypeError):  # a subclass of the user's whose own bases forbid it: it stays in its one Lightning
            kind.__bases__ = (*kind.__bases__, *missing)

    for name in NAMESPACES:
        when_imported(name, join)
    return kind


def callback_when_imported(kind: C) -> C:
    """The same for a class that is to be had without Lightning: it is a callback of each as soon as that is imported.

    Args:
        kind: must have a base of its own besides ``object``, which Lightning's is put beside.
    """
    if any(name in sys.modules for name in NAMESPACES):
        kind.__bases__ = (*kind.__bases__, *callback_bases())
    return callback_in_both(kind)


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.partition(".")[0]):  # a broken install is not an absent one
            raise
        return None


def _no_lightning() -> ImportError:
    return MissingExtra("pytorch-lightning", "GradWatch", "lightning")
