"""Shorthand for labelled sick fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fit import Fit, Setup


def sick(  # noqa: PLR0917  # a label reads best in this order
    name: str,
    family: str,
    why: str,
    kinds: tuple[str, ...],
    causes: tuple[str, ...],
    build: Callable[[int], Setup],
    **more: Any,
) -> Fit:
    """A sick fit under two seeds, unless ``more`` says otherwise."""
    fields = {"seeds": (0, 1), **more}
    return Fit(name=name, family=family, why=why, kinds=kinds, causes=causes, build=build, health="sick", **fields)
