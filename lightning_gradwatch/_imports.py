"""Being told when a module is imported, without importing it: the other Lightning costs half a second and more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def when_imported(name: str, call: Callable[[], None]) -> None:
    """Call once the module of that name has been imported; not at all if it is there already, or never comes.

    Example:
        >>> told = []
        >>> when_imported("this", lambda: told.append(True))
        >>> import contextlib, io, sys
        >>> _ = sys.modules.pop("this", None)
        >>> with contextlib.redirect_stdout(io.StringIO()):
        ...     import this
        >>> told
        [True]
    """
    if sys.modules.get(name) is None:
        sys.meta_path.insert(0, _Arrival(name, call))


class _Arrival(MetaPathFinder):
    """Finds nothing itself: it listens at the loader that others find, and goes when the module is there."""

    def __init__(self, name: str, call: Callable[[], None]) -> None:
        self.name, self.call = name, call

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname != self.name:
            return None
        others = (finder for finder in sys.meta_path if not isinstance(finder, _Arrival))
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None:
            self._listen(spec)
        return spec

    def _listen(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            del loader.exec_module  # the class's own again
            for other in [one for one in sys.meta_path if isinstance(one, _Arrival) and one.name == self.name]:
                sys.meta_path.remove(other)
                other.call()

        loader.exec_module = exec_module
