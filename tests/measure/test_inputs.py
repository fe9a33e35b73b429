import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from lightning_gradwatch.measure.inputs import given, is_parameter
from tests.reference import twins


def rms(tensor):
    return twins.l2(tensor) / tensor.numel() ** 0.5


def test_by_hand():
    """The root mean square of 3 and 4 is the root of 12.5."""
    loss = nn.Linear(2, 1)(torch.tensor([[3.0, 4.0]])).sum()
    assert given(loss.grad_fn.next_functions[0][0]).item() == pytest.approx(12.5**0.5)


LAYERS = {
    "linear": (lambda: nn.Linear(5, 4), (7, 5), "Addmm"),
    "without bias": (lambda: nn.Linear(5, 4, bias=False), (7, 5), "Mm"),
    "sequences": (lambda: nn.Linear(5, 4), (3, 6, 5), "Addmm"),
    "convolution": (lambda: nn.Conv2d(2, 3, 3), (4, 2, 6, 6), "Convolution"),
    "batch norm": (lambda: nn.BatchNorm1d(5), (7, 5), "NativeBatchNorm"),
    "layer norm": (lambda: nn.LayerNorm(5), (7, 5), "NativeLayerNorm"),
    "lstm": (lambda: nn.LSTM(5, 4), (6, 3, 5), "MkldnnRnnLayer"),
}


def find(loss, kind):
    stack = [loss.grad_fn]
    while stack:
        node = stack.pop()
        if node.name().startswith(kind + "Backward"):
            return node
        stack.extend(child for child, _ in node.next_functions if child is not None)
    raise LookupError(kind)


@pytest.mark.parametrize(("make", "shape", "kind"), LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_equals_the_twin(make, shape, kind, size):
    x = size * torch.randn(shape)
    output = make()(x)
    loss = (output[0] if isinstance(output, tuple) else output).sum()
    assert given(find(loss, kind)).item() == pytest.approx(rms(x), rel=1e-6)


def test_a_weight_that_stands_first_is_not_the_input():
    weight, x = nn.Parameter(torch.full((3, 5), 7.0)), torch.full((5, 2), 0.5, requires_grad=True)
    node = (weight.T.T @ x.sin()).grad_fn
    assert is_parameter(node, 0)
    assert not is_parameter(node, 1)
    assert given(node).item() == pytest.approx(torch.sin(torch.tensor(0.5)).item())


def test_a_large_input_is_thinned():
    x = torch.randn(1000, 100)
    node = nn.Linear(100, 1, bias=False)(x).grad_fn
    assert given(node).item() == pytest.approx(rms(x), rel=0.02)


def test_what_was_not_kept_is_not_known():
    layer = nn.Linear(3, 2)
    assert given(nn.Embedding(3, 2)(torch.tensor([1])).grad_fn) is None
    assert given(layer(torch.ones(0, 3)).grad_fn) is None
    packed = checkpoint(layer, torch.ones(2, 3), use_reentrant=False)
    assert given(packed.grad_fn) is None
