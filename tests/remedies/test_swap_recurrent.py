"""Gates for plain recurrent layers, and for nothing else; a network that remembers then."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from lightning_gradwatch import checkup
from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.cases.networks import recall
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Quantity
from lightning_gradwatch.remedies.swap_recurrent import SwapRecurrent
from tests.callbacks.fits import both_namespaces, data, module, trainer
from tests.fits.modules import fingerprint
from tests.remedies.findings import cause, finding, stack, with_layers

RULE = SwapRecurrent()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("RNN", "Replace rnn (torch.nn.RNN) by torch.nn.LSTM or torch.nn.GRU."),
        ("RNNCell", "Replace rnncell (torch.nn.RNNCell) by torch.nn.LSTMCell or torch.nn.GRUCell."),
    ],
)
@pytest.mark.parametrize("blamed", ["recurrence", "activation", "depth", "initialization"])
def test_a_plain_layer_that_is_sick(kind, said, blamed):
    advice = RULE.weigh(finding(cause(blamed), layers=(kind.lower(),)), with_layers(stack(None, depth=1), kind))
    assert advice.advice == said
    assert "forget gates" in advice.reason


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        pytest.param(finding(cause("recurrence"), layers=("lstm",)), "LSTM", id="gated already"),
        pytest.param(finding(cause("depth"), layers=("0",)), "RNN", id="another layer is sick"),
    ],
)
def test_does_not_apply(found, kind):
    assert RULE.weigh(found, with_layers(stack(None, depth=1), kind)) is None


def test_a_loop_by_hand_is_the_users_to_rewrite():
    advice = RULE.weigh(finding(cause("recurrence"), layers=("again",)), stack(None, depth=2))
    assert "LSTMCell" in advice.advice
    assert "The loop uses again" in advice.reason


# --- what it makes of a network ---------------------------------------------------------------------------------------

STEPS = 48


class Loop(nn.Module):
    """A cell a step, by hand."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.RNNCell(8, 16), nn.Linear(16, 10)

    def forward(self, x):
        h = x.new_zeros(len(x), 16)
        for row in x.unflatten(1, (8, 8)).unbind(1):
            h = self.cell(row, h)
        return self.head(h)


class Stateful(nn.Module):
    """Carries its state from call to call, cut from the graph."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head, self.h = nn.RNN(8, 16, 2, batch_first=True), nn.Linear(16, 10), None

    def forward(self, x):
        out, h = self.rnn(x.unflatten(1, (8, 8)), self.h)
        self.h = h.detach()
        return self.head(out[:, -1])


def through_time(network, batch):
    """Decades of gradient lost between the last time step and the first."""
    rows = nn.functional.pad(batch[0].unflatten(1, (8, 8)), (0, 0, 0, STEPS - 8)).requires_grad_()
    states, _ = network.recurrent(rows)
    loss = nn.functional.cross_entropy(network.head(states[:, -1]), batch[1])
    (gradient,) = torch.autograd.grad(loss, rows)
    return math.log10(gradient[:, -1].norm() / gradient[:, 0].norm())


def trained(network, steps=60):
    optimizer, losses = torch.optim.Adam(network.parameters(), 3e-3), []
    for _, (x, y) in zip(range(steps), [batch for _ in range(3) for batch in training_batches()], strict=False):
        loss = nn.functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-10:]) / 10


@pytest.mark.parametrize("to", ["lstm", "gru"])
def test_cures_what_vanishes_through_time(to):
    batch = next(iter(training_batches()))
    sick = recall("rnn", 48, STEPS)
    report = checkup(sick, training_batches(), batches=6)
    [found] = [one for one in report.findings if one.id.startswith("vanishing_in_time")]
    cure = SwapRecurrent(to).tailored(found, report.anatomy)
    assert cure.forget_bias == pytest.approx(math.log(STEPS - 2), abs=0.05)  # 48 states have 47 steps between them
    assert SwapRecurrent().applies_to(sick, found)
    lost, before = through_time(sick, batch), trained(copy.deepcopy(sick))
    cure.apply(sick)
    assert lost > 8
    assert abs(through_time(sick, batch)) < 2
    assert not [one for one in checkup(sick, training_batches(), batches=6).findings if "time" in one.id]
    # Chance is log(10) = 2.30, where the plain network stays.
    assert before > 2.25
    assert trained(sick) < 1.9


@pytest.mark.parametrize(("to", "layer", "cell"), [("auto", "LSTM", "GRU"), ("lstm", "LSTM", "LSTM"), ("gru",) * 3])
def test_which_gates(to, layer, cell):
    network = nn.ModuleDict({"a": nn.RNN(2, 3), "b": nn.RNNCell(2, 3), "c": nn.LSTM(2, 3)})
    kept = network["c"]
    applied = SwapRecurrent(to).apply(network)
    assert applied.changed == ("a", "b")
    assert isinstance(network["a"], getattr(nn, layer.upper()))
    assert isinstance(network["b"], getattr(nn, f"{cell.upper()}Cell"))
    assert network["c"] is kept
    plain = 3 * 2 + 3 * 3 + 3 + 3
    gates = {"LSTM": 3, "GRU": 2, "gru": 2}
    assert applied.parameters == plain * (gates[layer] + gates[cell])


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (nn.Sequential(nn.Linear(2, 2)), "yours to rewrite"),
        (nn.Sequential(nn.LSTM(2, 2)), "has gates already"),
        (nn.RNN(2, 2), "it is the layer itself"),
        (nn.Sequential(nn.RNN(2, 2).requires_grad_(False)), "0: its weights are frozen"),
    ],
    ids=["by hand", "gated", "bare", "frozen"],
)
def test_leaves_alone_and_says_why(network, why):
    before = fingerprint(network.state_dict())
    applied = SwapRecurrent().apply(network)
    assert not applied
    [said] = applied.left
    assert why in said
    assert fingerprint(network.state_dict()) == before


def test_only_where_it_is_asked():
    network = nn.ModuleDict({"encoder": nn.RNN(2, 3), "decoder": nn.RNN(2, 3)})
    assert SwapRecurrent("gru", where=["dec*"]).apply(network).changed == ("decoder",)
    assert type(network["encoder"]) is nn.RNN


def test_hooks_of_the_old_layer_fire_and_go():
    network, heard = recall("rnn", 8, 12), []
    handle = network.recurrent.register_forward_hook(lambda *_: heard.append(1))
    SwapRecurrent().apply(network)
    network(torch.randn(2, 64))
    handle.remove()
    network(torch.randn(2, 64))
    assert heard == [1]


@pytest.mark.parametrize("make", [Loop, Stateful])
@pytest.mark.parametrize("to", ["lstm", "gru"])
def test_undo_restores_and_a_fit_goes_on_as_if_nothing_were(make, to):
    torch.manual_seed(0)
    network = make()
    twin = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters())
    batch = torch.randn(4, 64)

    def train(net, optimizer):
        net(batch).square().sum().backward()
        optimizer.step()
        net.h = None

    before, held = fingerprint(network.state_dict()), list(network.parameters())
    applied = SwapRecurrent(to).apply(network, optimizer)
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in network.parameters()}
    for _ in range(20):
        train(network, optimizer)
    applied.undo()
    assert fingerprint(network.state_dict()) == before
    assert all(a is b for a, b in zip(network.parameters(), held, strict=True))
    other = torch.optim.Adam(twin.parameters())
    for _ in range(3):
        train(network, optimizer)
        train(twin, other)
    assert fingerprint(network.state_dict()) == fingerprint(twin.state_dict())


@pytest.mark.parametrize("make", [Loop, Stateful])
def test_the_treated_network_copies_pickles_and_loads(make):
    torch.manual_seed(0)
    network, batch = make(), torch.randn(4, 64)
    SwapRecurrent("lstm").apply(network)
    other = make()
    SwapRecurrent("lstm").apply(other)
    nn.init.ones_(other.head.weight)
    other.load_state_dict(network.state_dict())
    copies = copy.deepcopy(network), pickle.loads(pickle.dumps(network)), other
    expected = network(batch)
    assert all(torch.equal(one(batch), expected) for one in copies)
    with pytest.raises(RuntimeError, match="treated with SwapRecurrent"):
        make().load_state_dict(network.state_dict())


# --- as a callback ----------------------------------------------------------------------------------------------------


@both_namespaces
@pytest.mark.parametrize("make", [Loop, Stateful])
def test_in_a_fit(namespace, make, tmp_path):
    fits = []
    for path in (None, tmp_path / "half.ckpt"):
        torch.manual_seed(0)
        runner, fitted = trainer(namespace, [SwapRecurrent("lstm")], max_steps=4), module(namespace, make())
        runner.fit(fitted, data())
        if path is not None:
            runner.save_checkpoint(path)
        fits.append(fitted)
        (layer,) = [one for one in fitted.net.children() if not isinstance(one, nn.Linear)]
        assert isinstance(layer, (nn.LSTM, nn.LSTMCell))
        assert len(runner.optimizers[0].state) == len(list(fitted.parameters()))
    assert fingerprint(fits[0].state_dict()) == fingerprint(fits[1].state_dict())
    again = module(namespace, make())
    trainer(namespace, [SwapRecurrent("lstm")], max_steps=4).fit(again, data(), ckpt_path=tmp_path / "half.ckpt")
    assert fingerprint(again.state_dict()) == fingerprint(fits[0].state_dict())


# --- what is said and asked -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "wrong", "rule"),
    [
        ("to", "rnn", "one of the words below"),
        ("forget_bias", math.nan, "a finite number"),
        ("where", "rnn", "a list of names, or None"),
    ],
)
def test_wrong_arguments_are_told_at_once(argument, wrong, rule):
    with pytest.raises(WrongArgument, match=f"`{argument}` must be {rule}, got {wrong!r}"):
        SwapRecurrent(**{argument: wrong})


def test_tailored_without_steps_stays_as_it_is():
    found = finding(replace(cause("recurrence"), evidence=(Quantity(name="lost through time", value=8.0, unit="d"),)))
    assert repr(SwapRecurrent("gru", where=["a"]).tailored(found, stack())) == "SwapRecurrent('gru', where=['a'])"


@pytest.mark.parametrize(
    ("to", "line", "becomes"),
    [
        ("lstm", "self.rnn = nn.RNN(8, 16, nonlinearity='relu')", "self.rnn = nn.LSTM(8, 16)"),
        ("auto", "self.cell = nn.RNNCell(8, 16)", "self.cell = nn.GRUCell(8, 16)"),
        ("gru", "out, h = self.rnn(x)", "out, h = self.rnn(x)"),
        ("lstm", "out, h = self.rnn(x)", "out, (h, cell) = self.rnn(x)"),
        ("lstm", "out, _ = self.rnn(x)", "out, _ = self.rnn(x)"),
    ],
)
def test_lines_of_the_users_source(to, line, becomes):
    import re

    for pattern, replacement in SwapRecurrent(to).rewrites():
        line = re.sub(pattern, replacement, line)
    assert line == becomes


def test_advice_for_a_network_is_a_diff_of_its_source():
    said = SwapRecurrent("gru").advice(Loop())
    assert "-        self.cell, self.head = nn.RNNCell(8, 16), nn.Linear(16, 10)" in said
    assert "+        self.cell, self.head = nn.GRUCell(8, 16), nn.Linear(16, 10)" in said


def test_weights_go_to_gates_that_were_opened_otherwise_and_to_no_others():
    def swapped(*given, **options):
        model = nn.Sequential(nn.RNN(2, 3))
        SwapRecurrent(*given, **options).apply(model)
        return model

    state = swapped("lstm", forget_bias=3.0).state_dict()
    swapped("lstm").load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"treated with SwapRecurrent\('lstm'\)"):
        swapped("gru").load_state_dict(state)
