"""Which activations are replaced, which stay, and what is said of them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lightning_gradwatch import ReplaceActivation
from lightning_gradwatch.remedies.surgery.replacing import survey
from tests.remedies.surgery.networks import Functional, Image, Recurrence, Shared


class Mine(nn.Sigmoid):
    def forward(self, x):
        return super().forward(x) * 2


def kinds(model):
    return {name: type(module).__name__ for name, module in model.named_modules() if not list(module.children())}


def deep(*activations):
    parts = [part for act in activations for part in (nn.Linear(4, 4), act)]
    return nn.Sequential(*parts, nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("old", "to", "new"),
    [
        (nn.Sigmoid(), "relu", "ReLU"),
        (nn.Tanh(), "leaky_relu", "LeakyReLU"),
        (nn.Hardsigmoid(), "elu", "ELU"),
        (nn.Hardtanh(), "selu", "SELU"),
        (nn.Softsign(), "gelu", "GELU"),
        (nn.LogSigmoid(), "silu", "SiLU"),
        (nn.ReLU(), "prelu", "PReLU"),
        (nn.ReLU(), "relu", "ReLU"),
        (nn.ReLU6(), "elu", "ReLU6"),
        (nn.GELU(), "relu", "GELU"),
        (nn.Softmax(dim=1), "relu", "Softmax"),
    ],
    ids=str,
)
def test_what_becomes_what(old, to, new):
    model = deep(old)
    applied = ReplaceActivation(to).apply(model)
    assert type(model[1]).__name__ == new
    assert bool(applied) is (type(old).__name__ != new)


def test_gates_and_outputs_stay_and_it_is_said():
    model = Image()
    before = kinds(model)
    applied = ReplaceActivation().apply(model)
    changed = {name for name, kind in kinds(model).items() if kind != before[name]}
    assert changed == set(applied.changed) == {"act", "squeeze.fc.1"}
    assert "squeeze.fc.3 stays: a gate, which must keep its bounds." in applied.left
    assert "out stays: the output's, whose range the loss expects." in applied.left
    model(torch.randn(2, 1, 8, 8)).sum().backward()


@pytest.mark.parametrize("last", [False, True])
def test_a_shared_activation(last):
    model = Shared(last)
    applied = ReplaceActivation().apply(model)
    assert bool(applied) is not last
    assert isinstance(model.act, nn.Tanh if last else nn.ReLU)
    if last:
        assert applied.left == (
            "act stays: a hidden activation and the output's (or a gate) at once; give each its own.",
        )


def test_one_module_at_many_places_is_one_module_afterwards():
    act = nn.Tanh()
    model = nn.Sequential(nn.Linear(2, 2), act, nn.Linear(2, 2), act, nn.Linear(2, 1))
    applied = ReplaceActivation("prelu").apply(model)
    assert model[1] is model[3]
    assert applied.changed == ("1",)
    assert applied.parameters == 1


def test_a_recurrence_stays():
    model = Recurrence()
    assert not ReplaceActivation().apply(model)
    rnn = nn.ModuleDict({"rnn": nn.RNN(2, 2), "lstm": nn.LSTM(2, 2)})
    said = ReplaceActivation().apply(rnn).left
    assert said == ("rnn stays: a tanh through time, where a rectifier explodes; SwapRecurrent cures that.",)


def test_names_tell_gates_and_cells():
    class MyCell(nn.Module):
        def __init__(self):
            super().__init__()
            self.squash = nn.Tanh()

    model = nn.ModuleDict(
        {"a": nn.Linear(2, 2), "gate": nn.Sigmoid(), "cell": MyCell(), "act": nn.Tanh(), "b": nn.Linear(2, 1)}
    )
    found = survey(model, "relu", lambda _: True)
    assert [name for name, _ in found.replaced] == ["act"]
    assert next(iter(found.stay.values())) == ["gate", "cell.squash"]


def test_who_names_one_gets_it():
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1), nn.Sigmoid())
    assert ReplaceActivation(where=["3"]).apply(model).changed == ("3",)
    assert isinstance(model[1], nn.Tanh)


def test_a_class_of_ones_own_stays():
    applied = ReplaceActivation().apply(deep(Mine()))
    assert applied.left == ("1 stays: Mine is a class of your own.",)


def test_functions_are_told_with_file_and_line():
    model = Functional()
    applied = ReplaceActivation("elu").apply(model)
    assert not applied
    (sigmoid, tanh, relu) = applied.left
    assert sigmoid.endswith("calls torch.sigmoid: write nn.functional.elu there.")
    assert tanh.endswith("calls .tanh(): write nn.functional.elu there.")
    assert relu.endswith("calls F.relu: write nn.functional.elu there.")
    assert all(sentence.startswith("networks.py:") for sentence in applied.left)
    why = ReplaceActivation().applies_to(model)
    assert not why
    assert "calls torch.sigmoid: write torch.relu there." in why.why_not


def test_modules_keep_their_mode_and_their_hooks():
    model, seen = deep(nn.Tanh()), []
    handle = model[1].register_forward_hook(lambda *_: seen.append(True))
    model.eval()
    ReplaceActivation().apply(model)
    model(torch.ones(1, 4))
    assert seen == [True]
    assert not model[1].training
    handle.remove()
    model(torch.ones(1, 4))
    assert seen == [True]


@pytest.mark.parametrize("given", [torch.tanh, nn.Tanh(), nn.functional.relu], ids=["function", "module", "relu"])
def test_a_transformers_quick_path_computes_the_new_activation(given):
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True, activation=given)
    model = nn.Sequential(layer)
    applied = ReplaceActivation("leaky_relu").apply(model)
    x = torch.randn(2, 3, 4)
    with torch.no_grad():
        quick = model.eval()(x)
    assert applied
    assert torch.allclose(quick, model.train()(x), atol=1e-6)
    twin = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True, activation=nn.functional.leaky_relu)
    twin.load_state_dict(copy.deepcopy(layer.state_dict()))
    assert torch.allclose(quick, twin.train()(x), atol=1e-6)
    applied.undo()
    assert layer.activation is given or layer.activation == given


def test_a_slope_is_where_its_network_is():
    model = deep(nn.Tanh()).double()
    ReplaceActivation("prelu").apply(model)
    assert model[1].weight.dtype == torch.float64
