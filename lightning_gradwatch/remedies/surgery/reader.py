"""The statements of a network's code; calls are in ``calling``, values in ``expressions``, code in ``written``."""

from __future__ import annotations

import ast
from typing import Any

from torch import nn

from lightning_gradwatch.remedies.surgery.calling import Calling
from lightning_gradwatch.remedies.surgery.known import Data, Scope, joined

# What runs no further in this block.
_STOPS = ("return", "break", "continue")
# More turns than these are not unrolled: a loop over time steps, not over layers.
_TURNS = 256


class Reader(Calling):
    """Follows the statements of a method."""

    def enter(self, model: nn.Module, method: str) -> Any:
        """Begin at a method whose arguments are data."""
        if method == "forward":
            return self.call_module(model, [Data()], {}, Scope(model))
        return self.call_method(model, method, [], {})

    def run(self, body: list[ast.stmt], scope: Scope) -> str | None:
        """Follow statements; how they end: "return", "break", "continue", or None."""
        for statement in body:
            self.count()
            follow = getattr(self, f"_{type(statement).__name__}", None)
            ended = follow(statement, scope) if follow else self._other(statement, scope)
            if ended in _STOPS:
                return ended
        return None

    def _other(self, statement: ast.stmt, scope: Scope) -> None:
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.expr):
                self.value(child, scope)

    def _FunctionDef(self, statement: ast.FunctionDef, scope: Scope) -> None:
        scope.names[statement.name] = Data()

    def _ClassDef(self, statement: ast.ClassDef, scope: Scope) -> None:
        scope.names[statement.name] = Data()

    def _Return(self, statement: ast.Return, scope: Scope) -> str:
        if statement.value is not None:
            scope.returned.append(self.value(statement.value, scope))
        return "return"

    def _Raise(self, statement: ast.Raise, scope: Scope) -> str:
        return "return"

    def _Break(self, statement: ast.Break, scope: Scope) -> str:
        return "break"

    def _Continue(self, statement: ast.Continue, scope: Scope) -> str:
        return "continue"

    def _Assign(self, statement: ast.Assign, scope: Scope) -> None:
        value = self.value(statement.value, scope)
        for target in statement.targets:
            self.bind(target, value, scope)

    def _AnnAssign(self, statement: ast.AnnAssign, scope: Scope) -> None:
        if statement.value is not None:
            self.bind(statement.target, self.value(statement.value, scope), scope)

    def _AugAssign(self, statement: ast.AugAssign, scope: Scope) -> None:
        left = ast.copy_location(ast.BinOp(statement.target, statement.op, statement.value), statement)
        self.bind(statement.target, self.value(left, scope), scope)

    def _If(self, statement: ast.If, scope: Scope) -> str | None:
        test = self.value(statement.test, scope)
        if not isinstance(test, Data):
            return self.run(statement.body if test else statement.orelse, scope)
        before = dict(scope.names)
        one = self.run(statement.body, scope)
        then, scope.names = scope.names, before
        other = self.run(statement.orelse, scope)
        if one is None:  # what follows comes after the first branch, too
            scope.names = _merged(then, scope.names) if other is None else then
        return one if other is not None else None

    def _For(self, statement: ast.For, scope: Scope) -> str | None:
        values = self.value(statement.iter, scope)
        turns = self.items(values)
        if turns is None or len(turns) > _TURNS:
            turns = [joined(values)] * 2  # twice: what one turn leaves behind reaches the next
        for item in turns:
            self.bind(statement.target, item, scope)
            ended = self.run(statement.body, scope)
            if ended == "return":
                return ended
            if ended == "break":
                return None
        return self.run(statement.orelse, scope)

    def _While(self, statement: ast.While, scope: Scope) -> None:
        for _ in range(2):
            self.value(statement.test, scope)
            self.run(statement.body, scope)

    def _With(self, statement: ast.With, scope: Scope) -> str | None:
        for item in statement.items:
            value = self.value(item.context_expr, scope)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value, scope)
        return self.run(statement.body, scope)

    def _Try(self, statement: ast.Try, scope: Scope) -> str | None:
        ended = self.run(statement.body, scope) or self.run(statement.orelse, scope)
        return self.run(statement.finalbody, scope) or ended


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The names after two branches, either of which may have been taken."""
    both = {
        name: one[name] if one[name] is other[name] else joined(one[name], other[name])
        for name in one.keys() & other.keys()
    }
    return {**one, **other, **both}
