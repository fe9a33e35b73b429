"""Where the code of a function is found: its statements, the names that it knows, the lines of its file."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any


@dataclass(frozen=True, eq=False)
class Code:
    """The code of one function."""

    arguments: ast.arguments
    body: list[ast.stmt]
    names: Mapping[str, Any]  # of its module, and those that it encloses
    defaults: Mapping[str, Any]
    home: str  # the module where it is defined
    file: str  # its name without folders
    first: int  # the line before its first

    def line_of(self, node: ast.expr) -> int:
        """The line of the file in which an expression begins."""
        return self.first + node.lineno

    def bound(self, given: Sequence[Any], named: Mapping[str, Any], unknown: Callable[[], Any]) -> dict[str, Any]:
        """Its arguments by name, for one call."""
        places = [a.arg for a in (*self.arguments.posonlyargs, *self.arguments.args)]
        every = [*places, *(a.arg for a in self.arguments.kwonlyargs)]
        names = {name: self.defaults.get(name, unknown()) for name in every}
        names.update(zip(places, given, strict=False))
        names.update({name: value for name, value in named.items() if name in every})
        if self.arguments.vararg:
            names[self.arguments.vararg.arg] = list(given[len(places) :])
        if self.arguments.kwarg:
            names[self.arguments.kwarg.arg] = [value for name, value in named.items() if name not in every]
        return names


def code_of(function: Any) -> Code | None:
    """The code of a Python function; None: it has none that can be read."""
    try:
        plain = inspect.unwrap(function)
        return _parsed(plain) if isinstance(plain, FunctionType) else None
    except (OSError, TypeError, SyntaxError, ValueError):
        return None


@functools.lru_cache(maxsize=512)
def _parsed(function: FunctionType) -> Code | None:
    lines, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(tree, ast.FunctionDef):  # a lambda stands in the middle of a line
        return None
    file = Path(inspect.getsourcefile(function) or "model.py").name
    names = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    defaults = {
        name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty
    }
    return Code(tree.args, tree.body, names, defaults, function.__module__ or "", file, first - 1)
