"""Values of expressions, as the code of networks has them."""

from __future__ import annotations

import ast

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.flow import Call
from lightning_gradwatch.remedies.surgery.known import Data, Method, OneOf, Scope
from lightning_gradwatch.remedies.surgery.reader import Reader


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
        self.by_name = nn.ModuleDict({"a": nn.Linear(1, 1)})
        self.scale = nn.Parameter(torch.ones(1))
        self.depth, self.words, self.none = 2, ["a", "b"], None

    @property
    def touchy(self):
        raise AssertionError("it was run")

    def helper(self):
        return 1


NET, SOURCE = Net(), Call(None, nn.Module(), frozenset())


def value(text):
    names = {"self": NET, "x": Data(frozenset({SOURCE})), "torch": torch}
    return Reader().value(ast.parse(text, mode="eval").body, Scope(NET, names))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("self.depth + 1", 3),
        ("self.layers[0]", NET.layers[0]),
        ("self.by_name['a']", NET.by_name["a"]),
        ("len(self.layers) - 1", 1),
        ("self.none is None", True),
        ("self.layers is not None", True),
        ("self.depth > 1 and self.words[1]", "b"),
        ("False or self.depth", 2),
        ("not self.depth", False),
        ("[i for i in range(3)]", [0, 1, 2]),
        ("1 if self.depth == 2 else x", 1),
        ("(y := 5) + 1", 6),
        ("torch.tanh", torch.tanh),
        ("unheard_of", Data),
        ("self.touchy", Data),
        ("self.training", Data),
        ("lambda: x", Data),
    ],
)
def test_what_is_known(text, wanted):
    found = value(text)
    if wanted is Data:
        assert isinstance(found, Data)
        assert not found.calls
    else:
        assert found is wanted or found == wanted


@pytest.mark.parametrize(
    "text", ["x", "x.shape[0]", "-x", "x + 1", "(x, 1)[0]", "x if x > 0 else 1", "[y for y in x]", "{1: x}"]
)
def test_data_keep_where_they_come_from(text):
    found = value(text)
    found = found[0] if isinstance(found, list) and found else found
    assert isinstance(found, Data)
    assert bool(found.calls) is (text != "[y for y in x]")


def test_slices_and_unknown_places():
    assert list(value("self.layers[1:]")) == [NET.layers[1]]
    assert isinstance(value("self.layers[x]"), OneOf)
    assert value("self.layers[x]").modules == tuple(NET.layers)


def test_parameters_and_methods():
    assert value("self.scale").is_weight
    assert isinstance(value("self.helper"), Method)


def test_the_users_lists_are_never_appended_to():
    value("self.words.append(x)")
    assert NET.words == ["a", "b"]
