import math

import pytest
import torch

from lightning_gradwatch.measure.operations import operation
from lightning_gradwatch.measure.singular import SINGULAR, look

# function -> values at which autograd is asked, in float64, whether result and derivative are finite
FUNCTIONS = {
    "log": (torch.log, [-1.0, 0.0, 0.5, 1.0]),
    "log2": (torch.log2, [-1.0, 0.0, 0.5]),
    "log10": (torch.log10, [-1.0, 0.0, 0.5]),
    "log1p": (torch.log1p, [-2.0, -1.0, 0.0]),
    "sqrt": (torch.sqrt, [-1.0, 0.0, 4.0]),
    "rsqrt": (torch.rsqrt, [0.0, 4.0]),
    "reciprocal": (torch.reciprocal, [0.0, 4.0]),
    "exp": (torch.exp, [0.0, 1e5]),
    "div": (lambda x: x.cos() / x.sin(), [0.0, 1.0]),
    "pow 1/2": (lambda x: x**0.5, [-1.0, 0.0, 4.0]),
    "pow 2": (lambda x: x**2, [-1.0, 0.0, 4.0]),
    "pow -1": (lambda x: x**-1.0, [-1.0, 0.0, 4.0]),
    "acos": (torch.acos, [-1.5, -1.0, 0.0, 1.0]),
    "asin": (torch.asin, [-1.5, -1.0, 0.0, 1.0]),
    "atanh": (torch.atanh, [-1.5, -1.0, 0.0, 1.0]),
}


@pytest.mark.parametrize(("function", "values"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_equals_what_autograd_gives_in_float64(function, values):
    for value in values:
        x = torch.tensor([value], requires_grad=True)
        y = function(x)
        breaks, steep, _ = look(operation(y.grad_fn.name()), y.grad_fn).tolist()
        x = torch.tensor([value], dtype=torch.float64, requires_grad=True)
        y = function(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert bool(breaks) == (not y.isfinite().item()), value
        if y.isfinite():  # else the result says it
            assert bool(steep) == (not slope.isfinite().item()), value


def test_by_hand():
    x = torch.tensor([3.0, -2.0, 0.0], requires_grad=True)
    assert look("Log", x.log().grad_fn).tolist() == [1.0, 1.0, -2.0]
    assert look("Acos", x.acos().grad_fn).tolist() == [1.0, 0.0, 3.0]
    assert math.isnan(look("Exp", (1000 * x).exp().grad_fn)[2].item())


def test_what_does_not_tell_is_none():
    x = torch.ones(3, requires_grad=True)
    assert look("Sin", x.sin().grad_fn) is None
    assert look("Log", torch.ones(0, requires_grad=True).log().grad_fn) is None
    assert look("Div", (x / 2).grad_fn) is None  # by a number of the program, not of the data
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda tensor: 1 / 0):
        assert look("Log", x.log().grad_fn) is None


def test_all_entries_are_tried_above():
    made = {
        operation(function(torch.ones(1, requires_grad=True) / 2).grad_fn.name()) for function, _ in FUNCTIONS.values()
    }
    assert made == set(SINGULAR)
