import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lightning_gradwatch.measure.activations import dead_share, saved, slope_ratio
from lightning_gradwatch.measure.operations import operation
from tests.reference import twins

# function -> its largest |slope|
FUNCTIONS = {
    "sigmoid": (torch.sigmoid, 0.25),
    "tanh": (torch.tanh, 1.0),
    "relu": (torch.relu, 1.0),
    "relu6": (F.relu6, 1.0),
    "hardtanh": (F.hardtanh, 1.0),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), 1.0),
    "elu": (lambda x: F.elu(x, 0.7), 1.0),
    "gelu": (F.gelu, 1.129),
    "silu": (F.silu, 1.0999),
    "softplus": (lambda x: F.softplus(x, beta=2.0), 1.0),
    "hardsigmoid": (F.hardsigmoid, 1 / 6),
    "logsigmoid": (F.logsigmoid, 1.0),
}


@pytest.mark.parametrize("spread", [0.1, 3.0])
@pytest.mark.parametrize(("function", "largest"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_slope_equals_autograd_s(function, largest, spread):
    x = torch.randn(64, 10) * spread
    node = function(x.clone().requires_grad_()).grad_fn
    assert slope_ratio(operation(node.name()), node).item() == pytest.approx(
        twins.slope(function, x) / largest, rel=1e-4
    )


@pytest.mark.parametrize(("function", "largest"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_largest_slope_is_the_largest(function, largest):
    x = torch.linspace(-10, 10, 5001).double().requires_grad_()
    (slopes,) = torch.autograd.grad(function(x).sum(), x)
    assert slopes.abs().max().item() == pytest.approx(largest, rel=1e-3)


def test_hand_worked():
    node = torch.sigmoid(torch.zeros(3, requires_grad=True)).grad_fn
    assert slope_ratio("Sigmoid", node).item() == 1.0  # sigmoid'(0) = 1/4, its maximum
    node = torch.tanh(torch.full((3,), 20.0, requires_grad=True)).grad_fn
    assert slope_ratio("Tanh", node).item() == 0.0


def test_unknown_operations_have_no_slope():
    node = torch.ones(3, requires_grad=True).exp().grad_fn
    assert slope_ratio("Exp", node) is None


def test_large_activations_are_thinned():
    node = torch.sigmoid((torch.randn(1500, 1000)).requires_grad_()).grad_fn
    exact = twins.slope(torch.sigmoid, node._saved_result.logit())
    assert slope_ratio("Sigmoid", node).item() == pytest.approx(exact * 4, rel=1e-3)


@pytest.mark.parametrize(("batch", "expected"), [(8, 0.25), (7, None)])
def test_dead_share(batch, expected):
    x = torch.ones(batch, 4)
    x[:, 0] = -1.0
    x[1:, 1] = -1.0  # alive in one sample
    node = torch.relu(x.requires_grad_()).grad_fn
    share = dead_share("Relu", node)
    assert (None if share is None else share.item()) == expected


def test_packed_tensors_are_not_read():
    def unpack(tensor):
        raise AssertionError("the unpack hook ran")

    x = torch.randn(16, 4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
        node = torch.sigmoid(x).grad_fn
    assert saved(node, "result") is None
    assert slope_ratio("Sigmoid", node) is None


def test_freed_tensors_are_not_read():
    y = torch.sigmoid(torch.randn(4, requires_grad=True))
    node = y.grad_fn
    y.sum().backward()
    assert saved(node, "result") is None


def test_tensors_changed_in_place_are_not_read():
    y = torch.sigmoid(torch.randn(4, requires_grad=True))
    node = y.grad_fn
    y.mul_(2)
    assert saved(node, "result") is None


def test_module_without_activation_nodes():
    node = nn.Linear(2, 2)(torch.ones(1, 2)).grad_fn
    assert slope_ratio("Addmm", node) is None
    assert dead_share("Addmm", node) is None


def test_parameters_whose_memory_is_taken_away_are_not_read():
    weight = nn.Parameter(torch.rand(3, 3) + 1)
    node = (torch.ones(2, 3) / weight[:1]).grad_fn
    assert saved(node, "other") is not None
    weight.untyped_storage().resize_(0)
    assert saved(node, "other") is None
