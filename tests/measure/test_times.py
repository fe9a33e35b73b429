"""Gradient through time, against autograd in float64 at what every use of the recurrent weight gives."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.graph import walk
from lightning_gradwatch.measure.host import to_host
from lightning_gradwatch.measure.times import open_profiles
from tests.reference import twins

STEPS, WIDTH = 9, 6


def profiles(net, loss, **options):
    found = open_profiles(walk(loss.grad_fn), parameter_names(net), **options)
    loss.backward()
    for profile in found:
        profile.close()
    values = iter(to_host([share.tensor for profile in found for share in profile.shares()]))
    records = [profile.finish(values) for profile in found]
    return [record for record in records if record is not None]


def decades(gradients):
    return [math.log10(norm) if (norm := twins.l2(gradient)) > 0 else -math.inf for gradient in gradients]


class Loop(nn.Module):
    """A plain RNN by hand in float64, whose pre-activations are kept."""

    def __init__(self, size=0.3):
        super().__init__()
        self.inputs, self.hidden, self.head = nn.Linear(3, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        with torch.no_grad():
            self.hidden.weight.mul_(size)

    def forward(self, x):
        self.seen, h = [], torch.zeros(len(x), WIDTH, dtype=x.dtype)
        for step in x.unbind(1):
            self.seen.append(self.inputs(step) + self.hidden(h))
            h = torch.tanh(self.seen[-1])
        return self.head(h)


def test_by_hand():
    """x -> w x five times, w = 0.1: each step back costs one decade."""
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(0.1)
    x = torch.ones(1, 1)
    for _ in range(5):
        x = net(x)
    [profile] = profiles(net, x.sum())
    assert profile.decades == pytest.approx([-4, -3, -2, -1, 0], abs=1e-6)
    assert (profile.steps, profile.ledger, profile.layer) == (5, "loss", "")
    assert (profile.lost, profile.grown) == (pytest.approx(4), pytest.approx(-4))


@pytest.mark.parametrize("size", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_a_loop_by_hand_equals_autograd_in_float64(size, scale):
    net, x = Loop(size), torch.randn(4, STEPS, 3)
    loss = net(x).square().mean()
    [profile] = profiles(net, loss * scale, scale=scale)
    assert profile.layer == "hidden"  # what reads the input is used as often, but not on what it gave
    exact = net.double()
    gradients = torch.autograd.grad(exact(x.double()).square().mean(), exact.seen)
    assert profile.decades == pytest.approx(decades(gradients), abs=1e-4)


class Wrapped(nn.Module):
    def __init__(self, rnn, last=True):
        super().__init__()
        self.rnn, self.last = rnn, last
        self.head = nn.LazyLinear(1)

    def forward(self, x):
        output = self.rnn(x)[0]
        output = output if self.rnn.batch_first else output.transpose(0, 1)
        return self.head(output[:, -1] if self.last else output)


def cells(rnn, x, reverse=False):
    """A plain RNN from the weights of nn.RNN in float64, step by step: (outputs, pre-activations in order of time)."""
    end = "_reverse" if reverse else ""
    w, u, b, c = (getattr(rnn, f"{k}_l0{end}").double() for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h, seen, outputs = torch.zeros(len(x), WIDTH, dtype=torch.float64), [], []
    for step in reversed(x.unbind(1)) if reverse else x.unbind(1):
        seen.append(step @ w.T + b + h @ u.T + c)
        h = torch.tanh(seen[-1])
        outputs.append(h)
    return torch.stack(outputs[::-1] if reverse else outputs, 1), seen


@pytest.mark.parametrize("last", [True, False], ids=["end", "everywhere"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_plain_rnn_equals_autograd_in_float64(batch_first, last):
    net = Wrapped(nn.RNN(3, WIDTH, batch_first=batch_first), last)
    x = torch.randn(4, STEPS, 3)
    loss = net(x if batch_first else x.transpose(0, 1)).square().mean()
    [profile] = profiles(net, loss)
    outputs, seen = cells(net.rnn, x.double())
    head = net.head.double()
    gradients = torch.autograd.grad(head(outputs[:, -1] if last else outputs).square().mean(), seen)
    assert profile.decades == pytest.approx(decades(gradients), abs=1e-4)
    assert profile.layer == "rnn"


def test_both_directions_are_two_profiles_each_first_step_first():
    net, x = Wrapped(nn.RNN(3, WIDTH, batch_first=True, bidirectional=True), last=False), torch.randn(4, STEPS, 3)
    found = profiles(net, net(x).square().mean())
    both = [cells(net.rnn, x.double(), reverse) for reverse in (False, True)]
    loss = net.head.double()(torch.cat([outputs for outputs, _ in both], -1)).square().mean()
    twin = [decades(torch.autograd.grad(loss, seen, retain_graph=True)) for _, seen in both]
    assert sorted(p.decades for p in found) == [pytest.approx(row, abs=1e-4) for row in sorted(map(tuple, twin))]


UNROLLED = {
    "stacked": (lambda: nn.RNN(3, WIDTH, 2, batch_first=True, dropout=0.5), 2),
    "gru": (lambda: nn.GRU(3, WIDTH, batch_first=True), 1),
}


@pytest.mark.parametrize(("make", "count"), UNROLLED.values(), ids=UNROLLED)
def test_one_profile_a_layer(make, count):
    net = Wrapped(make())
    found = profiles(net, net(torch.randn(4, STEPS, 3)).square().mean())
    assert [(p.layer, p.steps, len(p.decades)) for p in found] == [("rnn", STEPS, STEPS)] * count


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_packed_sequences(kind):
    rnn = kind(3, WIDTH, batch_first=True)
    packed = pack_padded_sequence(torch.randn(3, STEPS, 3), torch.tensor([STEPS, 7, 5]), batch_first=True)
    [profile] = profiles(rnn, rnn(packed)[0].data.square().mean())
    assert profile.steps == STEPS


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_cells_in_a_loop(cell):
    net, state = cell(3, WIDTH), None
    for step in torch.randn(4, STEPS, 3).unbind(1):
        state = net(step, state)
    loss = (state[0] if isinstance(state, tuple) else state).square().mean()
    [profile] = profiles(net, loss)
    assert profile.steps in (STEPS, STEPS - 1)  # without a state to begin with there is nothing before the first step


class Fused(nn.Module):
    """An embedding by a linear layer, so that the sequence needs a gradient, and a fused LSTM."""

    def __init__(self, layers=1, **options):
        super().__init__()
        self.first, self.rnn = nn.Linear(3, 5), nn.LSTM(5, WIDTH, layers, **options)

    def forward(self, x):
        self.given = self.first(x)
        self.given.retain_grad()
        return self.rnn(self.given)[0]


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("steps", [STEPS, 150])
def test_fused_lstm_by_the_gradient_of_its_sequence(batch_first, steps):
    net = Fused(batch_first=batch_first)
    output = net(torch.randn((4, steps, 3) if batch_first else (steps, 4, 3)))
    [profile] = profiles(net, (output[:, -1] if batch_first else output[-1]).square().mean())
    gradients = net.given.grad.unbind(1 if batch_first else 0)
    places = [round(i * (steps - 1) / (min(steps, 64) - 1)) for i in range(min(steps, 64))]
    assert profile.decades == pytest.approx([decades(gradients)[place] for place in places], abs=1e-4)
    assert (profile.steps, profile.layer) == (steps, "rnn")


def test_fused_lstm_over_raw_data_has_none_but_the_layers_above_it():
    net = nn.LSTM(3, WIDTH, 2, batch_first=True)
    assert len(profiles(net, net(torch.randn(4, STEPS, 3))[0][:, -1].square().mean())) == 1
    net = nn.LSTM(3, WIDTH, batch_first=True)
    assert profiles(net, net(torch.randn(4, STEPS, 3))[0][:, -1].square().mean()) == []


def test_the_backward_direction_of_a_fused_lstm_begins_at_the_end():
    net = Fused(bidirectional=True, batch_first=True)
    output = net(torch.randn(4, STEPS, 3))
    found = profiles(net, output[:, 0, WIDTH:].square().mean())  # where the backward direction has read everything
    assert [p.decades[0] for p in found].count(-math.inf) == 1
    [profile] = [p for p in found if p.decades[-1] > -math.inf]
    assert profile.decades == pytest.approx(decades(net.given.grad.unbind(1))[::-1], abs=1e-4)


def test_what_is_no_recurrence():
    shared, head = nn.Linear(3, 3), nn.Linear(3, 1)
    x = torch.randn(4, STEPS, 3)
    beside = nn.ModuleList([shared, head])
    total = 0
    for step in x.unbind(1):  # one after the other, but never on what it gave
        total = torch.tanh(total + shared(step))
    assert profiles(beside, head(total).sum()) == []
    three = x[:, 0]
    for _ in range(3):
        three = shared(three)
    assert profiles(beside, head(three).sum()) == []
    assert profiles(beside, head(shared(x)).sum()) == []


def test_weights_that_are_computed_first():
    net = Loop()
    nn.utils.parametrizations.weight_norm(net.hidden)
    [profile, *_] = profiles(net, net(torch.randn(4, STEPS, 3)).square().mean())
    assert (profile.layer, profile.steps) == ("hidden", STEPS)


def test_a_long_sequence_is_thinned_and_keeps_its_ends():
    net, x = Loop(1.0), torch.randn(2, 500, 3)
    [profile] = profiles(net, net(x).square().mean())
    loss = net(x).square().mean()
    first, last = torch.autograd.grad(loss, [net.seen[0], net.seen[-1]])
    assert (len(profile.decades), profile.steps) == (64, 500)
    assert (profile.decades[0], profile.decades[-1]) == pytest.approx(decades([first, last]), abs=1e-3)


def test_no_gradient_at_all_is_minus_infinity():
    net = Loop()
    with torch.no_grad():
        net.hidden.weight.zero_()
    [profile] = profiles(net, net(torch.randn(4, STEPS, 3)).square().mean())
    assert profile.decades[0] == -math.inf
    assert profile.lost == math.inf


def test_no_hook_stays_and_a_backward_that_breaks_off_leaves_no_profile():
    net = Loop()
    loss = net(torch.randn(4, STEPS, 3)).square().mean()
    found = open_profiles(walk(loss.grad_fn), parameter_names(net))
    for profile in found:
        profile.close()
    loss.backward()
    assert [profile.finish(iter([])) for profile in found] == [None]


def test_an_error_inside_surfaces_only_at_the_end(monkeypatch):
    net = Loop()
    loss = net(torch.randn(4, STEPS, 3)).square().mean()
    [profile] = open_profiles(walk(loss.grad_fn), parameter_names(net))
    monkeypatch.setattr("lightning_gradwatch.measure.times.joint_l2", lambda tensors: 1 / 0)
    loss.backward()
    assert profile.shares() == []
    with pytest.raises(ZeroDivisionError):
        profile.finish(iter([]))
