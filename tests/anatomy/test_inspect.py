import math

import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import inspect_model, parameter_names
from lightning_gradwatch.anatomy.inspect import is_activation

LAYERS = {
    "linear": (nn.Linear(6, 4), "linear", 6, 4),
    "conv": (nn.Conv2d(3, 8, 3, stride=2), "linear", 27, 18),  # 8 x 9 / 4: a stride feeds a quarter of the places
    "transposed conv": (nn.ConvTranspose2d(3, 8, 2), "linear", 12, 32),
    "norm": (nn.LayerNorm(6), "norm", None, None),
    "batch norm": (nn.BatchNorm1d(6), "norm", None, None),
    "recurrent": (nn.LSTM(3, 5), "recurrent", 5, 20),
    "embedding": (nn.Embedding(9, 4), "embedding", 4, 9),
}


@pytest.mark.parametrize(("module", "family", "fan_in", "fan_out"), LAYERS.values(), ids=LAYERS.keys())
def test_layer_facts(module, family, fan_in, fan_out):
    [layer] = inspect_model(nn.Sequential(module)).layers
    assert (layer.name, layer.type, layer.family) == ("0", type(module).__name__, family)
    assert (layer.fan_in, layer.fan_out) == (fan_in, fan_out)
    assert layer.parameters == sum(p.numel() for p in module.parameters())


def test_fans_are_torch_s_own():
    """He's initialisation by our fan_in has the spread that torch's has."""
    conv = nn.Conv2d(16, 64, 3)
    nn.init.kaiming_normal_(conv.weight)
    [layer] = inspect_model(nn.Sequential(conv)).layers
    assert layer.weight_std == pytest.approx(math.sqrt(2 / layer.fan_in), rel=0.03)


def test_spread_of_weights():
    layer = nn.Linear(64, 64)
    nn.init.normal_(layer.weight, std=0.01)
    [found] = inspect_model(nn.Sequential(layer)).layers
    assert found.weight_std == pytest.approx(layer.weight.std().item(), rel=1e-6)


def test_frozen_and_shared():
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict({"a": shared, "b": nn.Linear(2, 2), "c": shared})
    model["b"].requires_grad_(False)
    assert [(layer.name, layer.trainable) for layer in inspect_model(model).layers] == [("a", True), ("b", False)]
    assert list(parameter_names(model).values()) == ["a.weight", "a.bias", "b.weight", "b.bias"]


def test_modules_that_have_no_weights_yet():
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(2, 2, device="meta"))
    assert [
        (layer.type, layer.weight_std is None or math.isnan(layer.weight_std)) for layer in inspect_model(model).layers
    ] == [("Linear", True)]
    assert inspect_model(nn.Identity()).layers == ()


@pytest.mark.parametrize(
    ("module", "answer"),
    [(nn.ReLU(), True), (nn.PReLU(), True), (nn.MultiheadAttention(2, 1), False), (nn.Linear(1, 1), False)],
)
def test_is_activation(module, answer):
    assert is_activation(module) is answer


def test_nothing_is_changed():
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    before, rng = [p.detach().clone() for p in model.parameters()], torch.get_rng_state()
    inspect_model(model)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(rng, torch.get_rng_state())
