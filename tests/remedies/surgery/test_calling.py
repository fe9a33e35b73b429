"""Calls of modules, methods and functions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.reading import read


def helper(function, x):
    return function(x)


class Net(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.a, self.act, self.weight = nn.Linear(2, 2), nn.Tanh(), nn.Parameter(torch.ones(2, 2))
        self.code = code

    def method(self, x, *, twice=False):
        x = self.act(self.a(x))
        return self.act(x) if twice else x


class Method(Net):
    def forward(self, x):
        return self.method(x, twice=True)


class Passed(Net):
    def forward(self, x):
        return helper(torch.relu, helper(self.a, x))


class Product(Net):
    def forward(self, x):
        return torch.nn.functional.linear(torch.sigmoid(x), self.weight)


class Mask(Net):
    def forward(self, x):
        return torch.matmul(self.a(x), x)


class Chosen(Net):
    def forward(self, x):
        return [self.a, self.act][x.argmax()](x).relu_()


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.ones(2, 2))

    def forward(self, x):
        return x + self.table


def called(model):
    return [
        call.kind or (type(call.module).__name__ if call.module else "product") for call in read(model).ways[0].calls
    ]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (Method, ["Linear", "tanh", "tanh"]),
        (Passed, ["Linear", "relu"]),
        (Product, ["sigmoid", "product"]),
        (Mask, ["Linear"]),  # a product of data, not with weights
        (Chosen, ["Linear", "tanh", "relu"]),
    ],
)
def test_what_is_called(kind, wanted):
    assert called(kind(None)) == wanted


def test_one_of_several_hands_all_on():
    last = read(Chosen(None)).ways[0].calls[-1]
    assert {call.kind for call in last.inputs} == {"", "tanh"}


def test_a_product_with_a_parameter_weighs():
    way = read(Product(None)).ways[0]
    assert not way.is_last(way.calls[0])
    assert way.calls[1].weighted


def test_a_module_with_weights_that_calls_nothing_is_a_call_itself():
    assert called(nn.Sequential(Bare(), nn.ReLU())) == ["Bare", "relu"]
