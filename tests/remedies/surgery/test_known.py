"""What is known of values, and of what is made of them."""

from __future__ import annotations

import ast

import pytest
from torch import nn

from lightning_gradwatch.remedies.surgery.flow import Call
from lightning_gradwatch.remedies.surgery.known import Data, calls_of, computed, done, is_known, joined

ONE, OTHER = (Call(None, nn.Module(), frozenset()) for _ in range(2))
A, B = Data(frozenset({ONE})), Data(frozenset({OTHER}), is_weight=True)


def test_what_is_made_of_values_comes_from_the_calls_of_all():
    whole = joined([A, (1, B)], {"key": A}, "text", None)
    assert whole.calls == {ONE, OTHER}
    assert not whole.is_weight  # a list that holds one is none
    assert joined(A, B).is_weight
    assert calls_of(3) == frozenset()


@pytest.mark.parametrize(
    ("operator", "operands", "value"),
    [(ast.Add(), (2, 3), 5), (ast.Lt(), (2, 3), True), (ast.Not(), (0,), True), (ast.USub(), (4,), -4)],
    ids=["add", "less", "not", "minus"],
)
def test_operators_of_known_values(operator, operands, value):
    assert computed(operator, *operands) == value


def test_operators_of_data_and_those_that_fail():
    assert computed(ast.Add(), A, 3).calls == {ONE}
    assert isinstance(computed(ast.Mod(), 1, 0), Data)
    assert isinstance(computed(ast.Add(), 1, "x"), Data)


def test_pythons_own_functions():
    assert done(len, [[1, 2]], {}) == 2
    assert done(enumerate, ["ab"], {"start": 1}) == [(1, "a"), (2, "b")]
    assert done(dict, [], {"a": 1}) == [("a", 1)]
    assert done(int, ["x"], {}).calls == frozenset()
    assert is_known(nn.ModuleList())
    assert not is_known(A)
