"""Finds the fits and the peers by scanning their folders."""

from __future__ import annotations

import fnmatch
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from fit import Fit

HERE = Path(__file__).parent


class Case(NamedTuple):
    """One fit under one seed."""

    fit: Fit
    seed: int

    @property
    def name(self) -> str:
        return f"{self.fit.name}-s{self.seed}"


def cases(half: str = "both", only: str = "*") -> list[Case]:
    """The fits of a half whose name (with or without the seed) matches one of some patterns, between commas."""
    found = [Case(fit, seed) for module in _modules("zoo") for fit in getattr(module, "FITS", ()) for seed in fit.seeds]
    names = [case.name for case in found]
    if len(set(names)) < len(names):
        raise ValueError(f"Two fits are called {next(name for name in names if names.count(name) > 1)}.")
    return [one for one in found if half in ("both", one.fit.half) and _matches(one, only.split(","))]


def _matches(one: Case, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for name in (one.name, one.fit.name) for pattern in patterns)


def case(name: str) -> Case:
    """The fit of that name, with its seed."""
    return next(one for one in cases() if one.name == name)


def peers() -> list[Any]:
    """One of each peer, ready to be a callback of one fit."""
    if not (HERE / "peers" / "base.py").exists():
        return []
    base = importlib.import_module("peers.base").Peer
    classes = [
        item
        for module in _modules("peers")
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, base) and item.__module__ == module.__name__
    ]
    return [item() for item in classes if item is not base and not item.__name__.startswith("_")]


def _modules(folder: str) -> list[ModuleType]:
    files = sorted((HERE / folder).glob("*.py"))
    return [importlib.import_module(f"{folder}.{file.stem}") for file in files if not file.stem.startswith("_")]
