"""The values of expressions in a network's code: what is known of them, and which calls they come from."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from lightning_gradwatch.remedies.surgery.activations import kind_of_function
from lightning_gradwatch.remedies.surgery.flow import Way
from lightning_gradwatch.remedies.surgery.known import (
    PLAIN,
    Data,
    Made,
    Method,
    OneOf,
    Scope,
    calls_of,
    computed,
    joined,
)

_STEPS = 50_000  # of one reading; a network of 1,000 layers takes a fifth


class Expressions:
    """The values of expressions; ``Calling`` follows the calls in them, ``Reader`` the statements."""

    def __init__(self) -> None:
        self.way = Way()
        self._steps = self._depth = 0
        self._held: dict[tuple[int, str], Any] = {}  # what methods put into attributes

    def count(self) -> None:
        """One step more.

        Raises:
            RecursionError: there are too many.
        """
        self._steps += 1
        if self._steps > _STEPS:
            raise RecursionError("this code takes too long to follow")

    # --- expressions --------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr, scope: Scope) -> Any:
        """What is known of an expression."""
        self.count()
        found = getattr(self, f"_{type(node).__name__}", None)
        if found is not None:
            return found(node, scope)
        return joined(
            *(self.value(child, scope) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
        )

    def items(self, value: Any) -> list[Any] | None:
        """What an iteration over it gives; None: only a run would know."""
        if isinstance(value, (nn.ModuleList, nn.Sequential, nn.ModuleDict, list, tuple, range, dict, enumerate, zip)):
            return list(value)
        return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, nn.Module)) else None

    def bind(self, target: ast.expr, value: Any, scope: Scope) -> None:
        """Give a name, or several, a value."""
        if isinstance(target, ast.Name):
            scope.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = self.items(value)
            alike = items is not None and len(items) == len(target.elts)
            for place, part in enumerate(target.elts):
                self.bind(part, items[place] if alike and items is not None else joined(value), scope)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, joined(value), scope)
        elif isinstance(target, ast.Attribute):
            if isinstance(owner := self.value(target.value, scope), nn.Module):
                self._held[id(owner), target.attr] = value
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            scope.names[target.value.id] = joined(scope.names.get(target.value.id), value)

    def _Constant(self, node: ast.Constant, scope: Scope) -> Any:
        return node.value

    def _Name(self, node: ast.Name, scope: Scope) -> Any:
        if node.id in scope.names:
            return scope.names[node.id]
        known = scope.code.names if scope.code is not None else {}
        return known.get(node.id, getattr(builtins, node.id, Data()))

    def _Attribute(self, node: ast.Attribute, scope: Scope) -> Any:
        return self._of(self.value(node.value, scope), node.attr)

    def _of(self, base: Any, name: str) -> Any:
        if isinstance(base, nn.Module):
            return self._part(base, name)
        if isinstance(base, ModuleType):
            return getattr(base, name, Data())
        return joined(base)

    def _part(self, owner: nn.Module, name: str) -> Any:
        if name in owner._modules:
            return owner._modules[name]
        if owner._parameters.get(name) is not None or parametrize.is_parametrized(owner, name):
            return Data(is_weight=True)
        if (id(owner), name) in self._held:
            return self._held[id(owner), name]
        if name in owner.__dict__:
            held = owner.__dict__[name]
            known = isinstance(held, (*PLAIN, nn.Module, FunctionType, list, tuple, dict)) or kind_of_function(held)
            return held if known and name != "training" else Data()
        return Method(owner, name) if callable(getattr(type(owner), name, None)) else Data()

    def _Subscript(self, node: ast.Subscript, scope: Scope) -> Any:
        base, index = self.value(node.value, scope), self.value(node.slice, scope)
        if isinstance(base, (nn.ModuleList, nn.ModuleDict, nn.Sequential, list, tuple, dict)):
            try:
                return base[index]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                several = [*base.values()] if isinstance(base, (nn.ModuleDict, dict)) else [*base]
                if several and all(isinstance(one, nn.Module) for one in several):
                    return OneOf(tuple(several))
        return joined(base, index)

    def _Slice(self, node: ast.Slice, scope: Scope) -> Any:
        parts = [None if part is None else self.value(part, scope) for part in (node.lower, node.upper, node.step)]
        return slice(*parts) if all(isinstance(part, PLAIN) for part in parts) else Data()

    def _Tuple(self, node: ast.Tuple | ast.List, scope: Scope) -> Any:
        return Made(self.value(item, scope) for item in node.elts)

    _List = _Tuple

    def _Dict(self, node: ast.Dict, scope: Scope) -> Any:
        return joined(*(self.value(item, scope) for item in node.values))

    def _NamedExpr(self, node: ast.NamedExpr, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        self.bind(node.target, value, scope)
        return value

    def _IfExp(self, node: ast.IfExp, scope: Scope) -> Any:
        test = self.value(node.test, scope)
        if isinstance(test, Data):
            return joined(self.value(node.body, scope), self.value(node.orelse, scope))
        return self.value(node.body if test else node.orelse, scope)

    def _Lambda(self, node: ast.Lambda, scope: Scope) -> Any:
        return Data()

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp, scope: Scope) -> Any:
        turns = self.items(self.value(node.generators[0].iter, scope))
        made = Made()
        for item in turns if turns is not None and len(node.generators) == 1 else [Data()]:
            self.bind(node.generators[0].target, item, scope)
            made.append(self.value(node.elt, scope))
        return made

    _ListComp = _GeneratorExp = _comprehension

    def _UnaryOp(self, node: ast.UnaryOp, scope: Scope) -> Any:
        return computed(node.op, self.value(node.operand, scope))

    def _BoolOp(self, node: ast.BoolOp, scope: Scope) -> Any:
        decides = isinstance(node.op, ast.Or)
        value: Any = Data()
        for place, part in enumerate(node.values):
            value = self.value(part, scope)
            if isinstance(value, Data):
                return joined(value, *(self.value(later, scope) for later in node.values[place + 1 :]))
            if bool(value) is decides:
                return value
        return value

    def _Compare(self, node: ast.Compare, scope: Scope) -> Any:
        left, right = self.value(node.left, scope), self.value(node.comparators[0], scope)
        if isinstance(node.ops[0], (ast.Is, ast.IsNot)) and not isinstance(left, Data) and not isinstance(right, Data):
            return (left is right) == isinstance(node.ops[0], ast.Is)
        return computed(node.ops[0], left, right) if len(node.ops) == 1 else Data()

    def _BinOp(self, node: ast.BinOp, scope: Scope) -> Any:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if isinstance(node.op, ast.MatMult):
            return self._weigh([left, right], node, scope)
        if isinstance(node.op, ast.Mult):
            self.way.meet(calls_of(left), calls_of(right))
        return computed(node.op, left, right)

    def _weigh(self, operands: list[Any], node: ast.expr, scope: Scope) -> Any:
        """A product, of weights if one factor is a parameter."""
        raise NotImplementedError
