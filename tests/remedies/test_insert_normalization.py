"""Which normalisation, and where there is none to insert."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from lightning_gradwatch import WrongArgument
from lightning_gradwatch.records import Anatomy
from lightning_gradwatch.remedies.insert_normalization import InsertNormalization
from tests.callbacks.fits import both_namespaces
from tests.remedies import nets
from tests.remedies.findings import cause, finding, stack, with_layers

RULE = InsertNormalization()


@pytest.mark.parametrize(
    ("anatomy", "module"),
    [
        pytest.param(stack("ReLU"), "BatchNorm1d", id="linear"),
        pytest.param(stack("ReLU", kind="Conv2d"), "BatchNorm2d", id="images"),
        pytest.param(stack("ReLU", kind="ConvTranspose3d"), "BatchNorm3d", id="volumes"),
        pytest.param(with_layers(stack("ReLU"), "Embedding"), "LayerNorm", id="text"),
        pytest.param(with_layers(stack("ReLU"), "LSTM"), "LayerNorm", id="sequences"),
    ],
)
def test_by_what_the_layers_work_on(anatomy, module):
    advice = RULE.weigh(finding(cause("depth")), anatomy)
    assert f"Insert torch.nn.{module} after" in advice.advice
    assert (advice.title == "layer normalisation") is (module == "LayerNorm")


@pytest.mark.parametrize(
    ("found", "anatomy"),
    [
        pytest.param(finding(cause("depth")), with_layers(stack("ReLU"), "BatchNorm1d"), id="there already"),
        pytest.param(
            finding(cause("depth"), **{"NativeLayerNorm segments": 4.0}), stack("ReLU"), id="there as a function"
        ),
        pytest.param(
            finding(cause("depth"), layers=("rnn",)), with_layers(stack("ReLU"), "RNN"), id="lost over time steps"
        ),
        pytest.param(finding(cause("depth")), Anatomy(), id="no layer"),
    ],
)
def test_does_not_apply(found, anatomy):
    assert RULE.weigh(found, anatomy) is None


def test_a_gradient_norm_is_no_normalisation():
    assert RULE.weigh(finding(cause("depth"), **{"gradient norm": 3.0}), stack("ReLU")) is not None


@pytest.mark.parametrize(("code", "words"), [("GW402", "norm_first=True"), ("GW403", "GroupNorm")])
def test_one_that_is_there_already_is_moved_or_replaced(code, words):
    found = finding(replace(cause("normalization"), code=code))
    assert words in InsertNormalization().weigh(found, with_layers(stack("ReLU"), "BatchNorm1d")).advice


KINDS = [
    pytest.param(InsertNormalization(), id="auto"),
    pytest.param(InsertNormalization("layer", drop_bias=True), id="layer"),
    pytest.param(InsertNormalization("group"), id="group"),
]
EVERY_KIND = pytest.mark.parametrize("treatment", KINDS)
EVERY_NET = pytest.mark.parametrize("name", nets.NETS)


@EVERY_KIND
@EVERY_NET
def test_undo_restores_every_bit(treatment, name):
    nets.assert_undone_bit_for_bit(treatment, name)


@EVERY_KIND
@EVERY_NET
def test_copies_pickles_and_states_compute_the_same(treatment, name):
    nets.assert_travels(treatment, name)


@pytest.mark.parametrize("name", ["named", "images"])
def test_compiles_into_one_graph(name):
    nets.assert_compiles(InsertNormalization(), name)


@EVERY_NET
def test_hidden_layers_only_and_no_name_changes(name):
    model, _ = nets.made(name)
    before = list(model.state_dict())
    layers = [n for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    applied = InsertNormalization().apply(model)
    assert list(applied.changed) == layers[:-1]
    assert [key for key in model.state_dict() if ".norm." not in key and "lightning_gradwatch" not in key] == before
    assert applied.parameters == sum(p.numel() for n, p in model.named_parameters() if ".norm." in n)


def test_a_second_time_changes_nothing():
    model, _ = nets.made("sequential")
    InsertNormalization().apply(model)
    assert not InsertNormalization().apply(model)
    assert "0 is normalised already" in InsertNormalization().applies_to(model).why_not


@both_namespaces
def test_as_a_callback(namespace):
    nets.assert_fits(InsertNormalization(), namespace)


@pytest.mark.parametrize(("activation", "bound"), [(nn.Sigmoid, -15), (nn.ReLU, -7)])
def test_gradients_flow(activation, bound):
    torch.manual_seed(0)
    model = nn.Sequential(*nets.sequential(activation, 20, 64)[:-1], nn.Linear(64, 10))
    assert nets.decades(model) < bound
    InsertNormalization().apply(model)
    assert abs(nets.decades(model)) < 3


def test_batch_norms_that_are_there_become_group_norms():
    model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32, 1))
    scale, x = model[1].weight, torch.randn(4, 1, 3, 3)
    found = finding(replace(cause("normalization"), code="GW403"))
    small = InsertNormalization().tailored(found, with_layers(stack("ReLU"), "BatchNorm1d"))
    assert not InsertNormalization().apply(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    applied = small.apply(model, optimizer)
    assert isinstance(model[1], nn.GroupNorm)
    assert model[1].weight is scale
    assert torch.allclose(model(x)[:1], model(x[:1]))
    assert InsertNormalization().tailored(found, stack("Sigmoid")).kind == "auto"
    applied.undo()
    assert isinstance(model[1], nn.BatchNorm2d)
    assert model[1].weight is scale


def test_biases_go_only_where_asked():
    model, _ = nets.made("named")
    bias, optimizer = model.fc0.bias, torch.optim.SGD(model.parameters(), 0.1)
    applied = InsertNormalization(drop_bias=True, where=["fc0"]).apply(model, optimizer)
    assert (model.fc0.bias, model.fc1.bias is None, hasattr(model.fc1, "norm")) == (None, False, False)
    assert not any(p is bias for group in optimizer.param_groups for p in group["params"])
    assert applied.did == ("fc0: BatchNorm1d after it, its bias is gone.",)
    applied.undo()
    assert model.fc0.bias is bias


def test_recurrent_layers_are_left_with_a_sentence():
    applied = InsertNormalization().apply(nn.Sequential(nn.RNN(2, 2)))
    assert not applied
    assert "0 is recurrent" in applied.left[0]


@pytest.mark.parametrize(
    ("kind", "line", "becomes"),
    [
        ("auto", "nn.Linear(8, width), nn.ReLU(),", "nn.Linear(8, width), nn.BatchNorm1d(width), nn.ReLU(),"),
        ("layer", "nn.Linear(8, 4), nn.Tanh()", "nn.Linear(8, 4), nn.LayerNorm(4), nn.Tanh()"),
        ("auto", "nn.Conv2d(3, 8, 3), nn.SiLU()", "nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU()"),
        ("group", "nn.Conv1d(3, 64, 3), nn.ELU()", "nn.Conv1d(3, 64, 3), nn.GroupNorm(32, 64), nn.ELU()"),
        ("auto", "self.head = nn.Linear(8, 4)", "self.head = nn.Linear(8, 4)"),
    ],
)
def test_in_ones_own_source(kind, line, becomes):
    for pattern, replacement in InsertNormalization(kind).rewrites():
        line = re.sub(pattern, replacement, line)
    assert line == becomes


def test_the_modules_to_write_are_listed():
    said = InsertNormalization().snippet(nets.Named()).splitlines()
    assert said[1].startswith("fc0 -> BatchNorm1d(8")
    assert len(said) == 4
    assert InsertNormalization().snippet(nets.sequential(depth=12)).endswith("... and 4 more")


@pytest.mark.parametrize(
    ("argument", "value", "rule"),
    [
        ("kind", "instance", "one of the words below"),
        ("drop_bias", 1, "True or False"),
        ("where", "fc0", "a list of names, or None"),
    ],
)
def test_wrong_arguments(argument, value, rule):
    with pytest.raises(WrongArgument, match=f"`{argument}` must be {rule}, got {value!r}"):
        InsertNormalization(**{argument: value})
