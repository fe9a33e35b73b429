"""Where code is found, and how its arguments are bound."""

from __future__ import annotations

import functools

import torch

from lightning_gradwatch.remedies.surgery.written import code_of


def plain(a, b=2, *rest, c=3, **more):
    return a, b, rest, c, more


@functools.wraps(plain)
def wrapped(*args):
    return plain(*args)


def test_arguments_are_bound_as_python_binds_them():
    code = code_of(plain)
    bound = code.bound([1, 5, 6, 7], {"c": 4, "d": 8}, lambda: "unknown")
    assert bound == {"a": 1, "b": 5, "rest": [6, 7], "c": 4, "more": [8]}
    assert code.bound([], {}, lambda: "unknown")["a"] == "unknown"
    assert code.bound([], {}, lambda: "unknown")["b"] == 2


def test_a_wrapped_function_is_the_one_inside():
    assert code_of(wrapped) is code_of(plain)


def test_what_has_no_code_has_none():
    assert code_of(torch.sigmoid) is None
    assert code_of(None) is None
    assert code_of(lambda x: x) is None
