"""The calls in a network's code, of modules, methods and functions: into their own code where there is some."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from lightning_gradwatch.remedies.surgery.activations import KINDS, kind_of_function
from lightning_gradwatch.remedies.surgery.expressions import Expressions
from lightning_gradwatch.remedies.surgery.flow import Call, call_of, is_leaf
from lightning_gradwatch.remedies.surgery.known import (
    Data,
    Made,
    Method,
    OneOf,
    Scope,
    calls_of,
    done,
    is_known,
    joined,
)
from lightning_gradwatch.remedies.surgery.written import Code, code_of

_DEEP = 60  # calls within calls
_FOREIGN = ("torch.", "lightning.", "pytorch_lightning.", "torchmetrics.", "numpy.", "lightning_fabric.")
# Modules of torch whose code tells more than their class does.
_READ = ("torch.nn.modules.transformer",)
_WEIGH = frozenset({"linear", "bilinear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "dot", "tensordot"})
_MULTIPLY = frozenset({"mul", "mul_", "multiply", "multiply_"})
_SAFE = frozenset(
    {"len", "range", "enumerate", "zip", "reversed", "list", "tuple", "dict", "min", "max", "int", "sum", "sorted"}
)


class Calling(Expressions):
    """Follows calls."""

    def run(self, body: list[ast.stmt], scope: Scope) -> str | None:
        """Follow statements."""
        raise NotImplementedError

    def _Call(self, node: ast.Call, scope: Scope) -> Any:
        base = self.value(node.func.value, scope) if isinstance(node.func, ast.Attribute) else None
        called = (
            self._of(base, node.func.attr) if isinstance(node.func, ast.Attribute) else self.value(node.func, scope)
        )
        given = [self.value(item, scope) for item in node.args]
        named = {item.arg: self.value(item.value, scope) for item in node.keywords if item.arg}
        apart = [self.value(item.value, scope) for item in node.keywords if not item.arg]
        if isinstance(called, nn.Module):
            return self.call_module(called, given, named, scope)
        if isinstance(called, OneOf):
            return joined(*(self.call_module(one, given, named, scope) for one in called.modules))
        if isinstance(called, Method):
            return self.call_method(called.owner, called.name, given, named)
        return self._call_function(called, base, ([*given, *apart], named), node, scope)

    def call_module(self, module: nn.Module, given: Sequence[Any], named: Mapping[str, Any], scope: Scope) -> Any:
        """Follow the call of a module: into its code where that tells more than its class."""
        kind = parametrize.type_before_parametrizations(module)
        forward = getattr(kind, "forward", None)
        if forward is nn.Sequential.forward:
            for child in module:  # type: ignore[attr-defined]
                given = [self.call_module(child, given, {}, scope)]
            return joined(*given)
        own = not kind.__module__.startswith("torch.") or kind.__module__ in _READ
        if own and not (is_leaf(module) and str(getattr(forward, "__module__", "")).startswith("torch.")):
            before = len(self.way.calls)
            result = self.call_method(module, "forward", given, named)
            if len(self.way.calls) > before or not any(True for _ in module.parameters()):
                return result
        return Data(self.way.add(call_of(module, scope.owner, calls_of(joined(*given, *named.values())))))

    def call_method(self, owner: nn.Module, name: str, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Follow a method of a module."""
        if isinstance(owner, (nn.ModuleList, nn.ModuleDict)) and name in ("values", "items", "keys"):
            return list(getattr(owner, name)())
        code = code_of(getattr(type(owner), name, None))
        return self._follow(code, owner, [owner, *given], named)

    def _follow(self, code: Code | None, owner: nn.Module, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Into the code of a function; what cannot be followed passes on what it got."""
        passed = joined(*given, *named.values())
        if code is None or self._depth >= _DEEP or (code.home.startswith(_FOREIGN) and code.home not in _READ):
            return passed
        self._depth += 1
        scope = Scope(owner, code.bound(given, named, Data), code)
        self.run(code.body, scope)
        self._depth -= 1
        return scope.returned[0] if len(scope.returned) == 1 else joined(*scope.returned)

    def _call_function(
        self, called: Any, base: Any, arguments: tuple[list[Any], Mapping[str, Any]], node: ast.Call, scope: Scope
    ) -> Any:
        given, named = arguments
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(called, "__name__", "")
        if isinstance(called, Data) and base is not None and not isinstance(base, ModuleType):
            given = [base, *given]  # a method of a tensor
        passed = joined(*given, *named.values())
        plain = name.rstrip("_")
        kind = kind_of_function(called) or (plain if isinstance(called, Data) and plain in KINDS else "")
        if kind and given:
            written = ast.unparse(node.func) if not isinstance(called, Data) else f".{name}()"
            return self._note(Call(None, scope.owner, calls_of(passed), kind, written=written), node, scope)
        if name in _WEIGH or name.startswith("conv"):
            return self._weigh([*given, *named.values()], node, scope)
        if name in _MULTIPLY and len(given) > 1:
            self.way.meet(calls_of(given[0]), calls_of(given[1]))
        if name == "checkpoint" and given and isinstance(given[0], (nn.Module, Method)):
            return self._again(given[0], given[1:], scope)
        if name in ("append", "extend", "insert") and isinstance(node.func, ast.Attribute) and isinstance(base, Made):
            base.append(joined(*given))
            return None
        if name in _SAFE and called is getattr(builtins, name, None) and all(map(is_known, given)):
            return done(getattr(builtins, name), given, named)
        if isinstance(called, FunctionType):
            return self._follow(code_of(called), scope.owner, given, named)
        return passed

    def _again(self, called: nn.Module | Method, given: list[Any], scope: Scope) -> Any:
        if isinstance(called, nn.Module):
            return self.call_module(called, given, {}, scope)
        return self.call_method(called.owner, called.name, given, {})

    def _weigh(self, operands: list[Any], node: ast.expr, scope: Scope) -> Any:
        """A product, of weights if one factor is a parameter."""
        passed = joined(*operands)
        if not any(isinstance(one, Data) and one.is_weight for one in operands):
            return Data(passed.calls)
        module = scope.owner if is_leaf(scope.owner) else None
        return self._note(Call(module, scope.owner, passed.calls, weighted=True), node, scope)

    def _note(self, call: Call, node: ast.expr, scope: Scope) -> Data:
        if scope.code is not None:
            call.file, call.line = scope.code.file, scope.code.line_of(node)
        return Data(self.way.add(call))
