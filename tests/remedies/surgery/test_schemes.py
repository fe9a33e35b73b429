"""The spread of every scheme, beside the slow formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.schemes import SCHEMES, drawn, fans, gain_for, scheme_for, spread


def slow_fans(layer):
    """Counted: products in one output, and outputs that one input feeds, far from the borders."""
    layer = layer.double()
    nn.init.ones_(layer.weight)
    size = [9] * (layer.weight.dim() - 2)
    x = torch.ones(1, layer.in_channels, *size, dtype=torch.float64, requires_grad=True)
    layer.bias = None
    y = layer(x)
    middle = tuple(slice(n // 3, n // 3 + math.lcm(*layer.stride) * 2) for n in y.shape[2:])
    inner = tuple(slice(n // 3, n // 3 + math.lcm(*layer.stride)) for n in size)
    y.sum().backward()
    return y[(0, 0, *middle)].mean().item(), x.grad[(0, 0, *inner)].mean().item()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(4, 6, 3),
        nn.Conv2d(4, 6, 2, groups=2),
        nn.Conv2d(2, 3, 2, stride=2),
        nn.Conv3d(2, 3, 2),
        nn.ConvTranspose1d(4, 6, 3),
        nn.ConvTranspose2d(4, 6, 4, stride=2),
        nn.ConvTranspose2d(4, 6, 2, groups=2),
    ],
    ids=str,
)
def test_fans_are_what_is_counted(layer):
    assert fans(layer, layer.weight) == pytest.approx(slow_fans(layer))


FORMULAS = {
    "he": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "xavier": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "lecun": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
}


@pytest.mark.parametrize("scheme", FORMULAS)
@pytest.mark.parametrize(
    "layer", [nn.Linear(300, 100), nn.Conv2d(20, 30, 5), nn.ConvTranspose2d(40, 20, 6, stride=2)], ids=str
)
def test_the_spread_is_the_formulas(scheme, layer):
    fan = fans(layer, layer.weight)
    torch.manual_seed(0)
    weight = drawn(layer.weight, scheme, gain_for(scheme, "relu"), fan).double()
    wanted = FORMULAS[scheme](*fan)
    assert weight.std().item() == pytest.approx(wanted, rel=4 / math.sqrt(2 * weight.numel()))
    assert abs(weight.mean().item()) < 4 * wanted / math.sqrt(weight.numel())
    assert spread(scheme, *fan, gain_for(scheme, "relu")) == pytest.approx(wanted)


def test_by_hand():
    """He et al. (2015), equation 14, slope 0.25, 32 inputs: sqrt(2 / ((1 + 0.0625) * 32)) = 0.24254."""
    assert spread("he", 32, 8, gain_for("he", "leaky_relu", 0.25)) == pytest.approx(0.24254, abs=1e-5)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 2, 3, 3)])
def test_orthogonal_rows_or_columns(shape):
    weight = drawn(torch.empty(shape, dtype=torch.float64), "orthogonal", 2.0, (1, 1)).flatten(1)
    small = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    assert torch.allclose(small, 4 * torch.eye(len(small), dtype=torch.float64))


def test_of_a_transposed_convolution_the_outputs_are_orthogonal():
    weight = drawn(torch.empty(6, 3, 2, 2, dtype=torch.float64), "orthogonal", 1.0, (1, 1), swapped=True)
    rows = weight.transpose(0, 1).flatten(1)
    assert torch.allclose(rows @ rows.T, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [("relu", "he"), ("prelu", "he"), ("gelu", "he"), ("selu", "lecun"), ("tanh", "xavier"), ("sigmoid", "xavier")],
)
def test_the_scheme_by_the_activation(kind, scheme):
    assert scheme_for(kind) == scheme


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_every_type(scheme, kind):
    weight = drawn(torch.empty(8, 8, dtype=kind), scheme, 1.0, (8, 8))
    assert weight.dtype == kind
    assert torch.isfinite(weight.abs()).all()
    assert weight.abs().std() > 0


UP = pytest.param(lambda: nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1), id="transposed")
GROUPS = pytest.param(lambda: nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular", groups=2), id="groups")


@pytest.mark.parametrize("make", [UP, GROUPS])
def test_ten_layers_of_he_keep_the_size(make):
    """What the fans are for; the spread of ten draws is left."""
    torch.manual_seed(0)
    x = start = torch.randn(2, 32, 24, 24)
    with torch.no_grad():
        for _ in range(10):
            layer = make()
            layer.weight.copy_(drawn(layer.weight, "he", gain_for("he", "relu"), fans(layer, layer.weight)))
            layer.bias.zero_()
            x = torch.relu(layer(x))
            margin = (x.shape[-1] - 24) // 2
            x = x[..., margin : margin + 24, margin : margin + 24]
    assert 0.2 < x.square().mean() / start.square().mean() < 5
