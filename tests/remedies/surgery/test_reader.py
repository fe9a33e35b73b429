"""Statements: what is run, what may be, and what is not."""

from __future__ import annotations

import ast
import textwrap

import pytest
from torch import nn

from lightning_gradwatch.remedies.surgery.flow import Call
from lightning_gradwatch.remedies.surgery.known import Data, Scope
from lightning_gradwatch.remedies.surgery.reader import Reader

ONE, OTHER = (Call(None, nn.Module(), frozenset(), kind=kind) for kind in ("one", "other"))


def run(text):
    """What is left under the name ``y``: the kinds of the calls it comes from, or its value; and how the lines end."""
    scope = Scope(nn.Module(), {"a": Data(frozenset({ONE})), "b": Data(frozenset({OTHER}))})
    ended = Reader().run(ast.parse(textwrap.dedent(text)).body, scope)
    left = scope.returned[0] if scope.returned else scope.names.get("y")
    return sorted(call.kind for call in left.calls) if isinstance(left, Data) else left, ended


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("y = a", ["one"]),
        ("y: int = a", ["one"]),
        ("y = a\ny += b", ["one", "other"]),
        ("y, z = a, b", ["one"]),
        ("z, *y = a, b", ["other"]),
        ("y = a\nif b: y = b", ["one", "other"]),
        ("y = a\nif 1 > 2: y = b", ["one"]),
        ("y = a\nif b: raise ValueError\nelse: y = b", ["other"]),
        ("y = a\nif b:\n  pass\nelse:\n  y = b\n  raise ValueError", ["one"]),
        ("y = 0\nfor i in range(4):\n  if i == 2: break\n  y = i", 1),
        ("y = 0\nfor i in range(4):\n  if i > 1: continue\n  y = i", 1),
        ("y = 0\nfor i in b:\n  y = y + i", ["other"]),
        ("y = a\nz = b\nfor i in b:\n  y = z\n  z = a", ["one"]),
        ("y = a\nwhile b:\n  y = b", ["other"]),
        ("with a as y: pass", ["one"]),
        ("try:\n  y = a\nexcept ValueError:\n  y = b", ["one"]),
        ("def y(): return a", []),
        ("y = []\ny.append(a)\ny = y[0]", ["one"]),
        ("y = {}\ny['k'] = a", ["one"]),
        ("assert a\ny = 1", 1),
    ],
)
def test_what_a_name_is_left_with(text, left):
    assert run(text)[0] == left


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("return a\ny = b", "return"),
        ("if a:\n  return a\nelse:\n  return b", "return"),
        ("if a: return a\ny = b", None),
        ("for i in range(3): return a", "return"),
        ("try:\n  return a\nfinally:\n  y = b", "return"),
    ],
)
def test_how_lines_end(text, ended):
    assert run(text)[1] == ended
