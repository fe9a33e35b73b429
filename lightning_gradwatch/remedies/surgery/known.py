"""What is known of a value in code that is read and not run."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from lightning_gradwatch.remedies.surgery.flow import Call
from lightning_gradwatch.remedies.surgery.written import Code

PLAIN = (bool, int, float, str, type(None))
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
}


@dataclass(frozen=True, eq=False)
class Data:
    """What only a run would know; of it, the calls that it comes from."""

    calls: frozenset[Call] = frozenset()
    is_weight: bool = False  # a parameter of the network


@dataclass(frozen=True, eq=False)
class OneOf:
    """One of several modules; which, only a run would know."""

    modules: tuple[nn.Module, ...]


@dataclass(frozen=True, eq=False)
class Method:
    """A method of a module."""

    owner: nn.Module
    name: str


@dataclass(eq=False)
class Scope:
    """The names of one function while it is followed."""

    owner: nn.Module  # whose code it is
    names: dict[str, Any] = field(default_factory=dict[str, Any])
    code: Code | None = None
    returned: list[Any] = field(default_factory=list[Any])


class Made(list[Any]):
    """A list that the followed code makes, and may append to; never one of the user's own."""


def joined(*values: Any) -> Data:
    """What is known of something made of several values."""
    return Data(frozenset().union(*map(calls_of, values)), any(isinstance(v, Data) and v.is_weight for v in values))


def calls_of(value: Any) -> frozenset[Call]:
    """The calls that a value comes from."""
    if isinstance(value, Data):
        return value.calls
    if isinstance(value, dict):
        return frozenset().union(*map(calls_of, value.values()))
    return frozenset().union(*map(calls_of, value)) if isinstance(value, (list, tuple)) else frozenset()


def is_known(value: Any) -> bool:
    """Whether one of Python's own functions can be asked for it."""
    return isinstance(value, (*PLAIN, list, tuple, dict, range, nn.ModuleList, nn.ModuleDict, nn.Sequential))


def done(function: Callable[..., Any], given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """What one of Python's own functions gives for values that are known."""
    try:
        made = function(*given, **named)
        return made if isinstance(made, PLAIN) else Made(made.items() if isinstance(made, dict) else made)
    except (TypeError, ValueError):
        return joined(*given, *named.values())


def computed(op: ast.AST, *operands: Any) -> Any:
    """The result of an operator, where all operands are known."""
    if type(op) in _OPERATORS and all(isinstance(one, PLAIN) for one in operands):
        try:
            return _OPERATORS[type(op)](*operands)
        except (TypeError, ValueError, ZeroDivisionError):
            return Data()
    return joined(*operands)
