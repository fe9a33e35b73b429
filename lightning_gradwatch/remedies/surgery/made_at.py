"""The line of the user's source that makes a module of the network."""

from __future__ import annotations

import ast

from torch import nn

from lightning_gradwatch.anatomy.names import every_module
from lightning_gradwatch.remedies.surgery.written import Code, code_of


def line_of(model: nn.Module, module: nn.Module) -> tuple[str, int] | None:
    """File (without folders) and line in whose ``__init__`` a module is made; None: it cannot be told.

    Args:
        model: the network.
        module: one of its modules, held by an attribute, or by a ``Sequential`` that one holds.
    """
    for parent, attribute in _holders(model, module):
        if type(parent) is nn.Sequential:
            for grandparent, name in _holders(model, parent):
                if (place := _made(grandparent, name, int(attribute) if attribute.isdigit() else None)) is not None:
                    return place
        elif (place := _made(parent, attribute, None)) is not None:
            return place
    return None


def _holders(model: nn.Module, module: nn.Module) -> list[tuple[nn.Module, str]]:
    return [(one, name) for one in every_module(model) for name, child in one._modules.items() if child is module]


def _made(parent: nn.Module, attribute: str, place: int | None) -> tuple[str, int] | None:
    code = code_of(type(parent).__init__)
    if code is None or code.home.startswith("torch."):
        return None
    value = _assigned(code, attribute)
    if place is not None:
        arguments = value.args if isinstance(value, ast.Call) else []
        is_plain = place < len(arguments) and not any(isinstance(one, ast.Starred) for one in arguments)
        value = arguments[place] if is_plain else None
    return None if value is None else (code.file, code.line_of(value))


def _assigned(code: Code, attribute: str) -> ast.expr | None:
    for node in (one for statement in code.body for one in ast.walk(statement)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr == attribute:
                    return node.value
    return None
