"""Gated layers that speak as a plain one: shapes, the state between calls, weights at the start."""

from __future__ import annotations

import copy
import gc
import itertools
import pickle
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lightning_gradwatch.remedies.surgery import recurrent
from lightning_gradwatch.remedies.surgery.recurrent import HiddenLSTM, HiddenLSTMCell, gated, handed_out, hindered

OPTIONS = [
    dict(zip(("num_layers", "bidirectional", "batch_first", "bias"), chosen, strict=True))
    for chosen in itertools.product((1, 2), (False, True), (False, True), (True, False))
]


def shapes(answer):
    output, h = answer
    return tuple(output.shape), tuple(h.shape), output.dtype


@pytest.mark.parametrize("to", ["lstm", "gru"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_takes_and_gives_what_the_plain_layer_does(to, options):
    plain = nn.RNN(3, 4, **options)
    new = gated(plain, to, 1.0)
    x = torch.randn(5, 6, 3)
    h = torch.randn(new.num_layers * (1 + new.bidirectional), 5 if new.batch_first else 6, 4)
    assert shapes(new(x)) == shapes(plain(x))
    assert shapes(new(x, h)) == shapes(plain(x, h))
    assert shapes(new(x[0], h[:, 0])) == shapes(plain(x[0], h[:, 0]))  # without a batch
    for name in ("input_size", "hidden_size", *options):
        assert getattr(new, name) == getattr(plain, name)
    assert [name for name, _ in new.named_parameters()] == [name for name, _ in plain.named_parameters()]


@pytest.mark.parametrize("to", ["lstm", "gru"])
def test_packed_sequences(to):
    plain = nn.RNN(3, 4, batch_first=True, dropout=0.5, num_layers=2)
    new = gated(plain, to, 1.0).eval()
    assert new.dropout == 0.5
    x, lengths = torch.randn(3, 6, 3), torch.tensor([2, 6, 4])
    packed, h = new(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    output, _ = pad_packed_sequence(packed, batch_first=True)
    for i, length in enumerate(lengths):
        alone, last = new(x[i, :length])
        assert torch.allclose(output[i, :length], alone, atol=1e-6)
        assert torch.allclose(h[:, i], last, atol=1e-6)


@pytest.mark.parametrize("to", ["lstm", "gru"])
@pytest.mark.parametrize(
    "plain",
    [nn.RNN(3, 4, dtype=torch.float64), nn.RNNCell(3, 4, dtype=torch.bfloat16)],
    ids=["double layer", "half cell"],
)
def test_keeps_device_and_dtype(to, plain):
    assert {p.dtype for p in gated(plain, to, 1.0).parameters()} == {next(plain.parameters()).dtype}
    on_meta = gated(copy.deepcopy(plain).to("meta"), to, 1.0)
    assert {p.device.type for p in on_meta.parameters()} == {"meta"}


@pytest.mark.parametrize(("to", "gates"), [("lstm", 4), ("gru", 3)])
@pytest.mark.parametrize("kind", [nn.RNN, nn.RNNCell])
def test_weights_at_the_start(to, gates, kind):
    new = gated(kind(3, 5), to, 1.5)
    biases = sum(p for name, p in new.named_parameters() if name.startswith("bias"))
    assert biases.tolist() == [0.0] * 5 + [1.5] * 5 + [0.0] * 5 * (gates - 2)
    [again] = [p for name, p in new.named_parameters() if name.startswith("weight_hh")]
    for gate in again.detach().split(5):
        assert torch.allclose(gate @ gate.T, torch.eye(5), atol=1e-5)
    [enter] = [p for name, p in new.named_parameters() if name.startswith("weight_ih")]
    assert 0 < enter.abs().max() <= (6 / (3 + 5)) ** 0.5  # Glorot & Bengio (2010), equation 16, gate by gate


def twin(layer):
    """The same weights in torch's own class."""
    kind = nn.LSTM if isinstance(layer, nn.LSTM) else nn.LSTMCell
    own = kind(layer.input_size, layer.hidden_size)
    own.load_state_dict(layer.state_dict())
    return own


def test_the_cell_travels_with_the_state_through_a_loop():
    cell = gated(nn.RNNCell(3, 4), "lstm", 1.0)
    own, x = twin(cell), torch.randn(7, 2, 3)
    h = state = None
    for step in x:
        h = cell(step, h)
        state = own(step, state)
    assert torch.equal(h, state[0])
    h.sum().backward()
    state[0].sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(cell.parameters(), own.parameters(), strict=True))


@pytest.mark.parametrize("way", ["as it is", "detach", "data", "detach_", "detached view"])
def test_the_cell_travels_and_is_cut_where_the_state_is(way):
    layer, x = gated(nn.RNN(3, 4, 2), "lstm", 1.0), torch.randn(6, 2, 3)
    own = nn.LSTM(3, 4, 2)
    own.load_state_dict(layer.state_dict())
    _, h = layer(x[:3])
    _, (h_own, c_own) = own(x[:3])
    if way != "as it is":
        h_own, c_own = h_own.detach(), c_own.detach()
    h = {"detach": h.detach(), "data": h.data, "detached view": h.detach()[:]}.get(way, h)
    if way == "detach_":
        h = h.detach_()
    layer(x[3:], h)[0].sum().backward()
    own(x[3:], (h_own, c_own))[0].sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(layer.parameters(), own.parameters(), strict=True))


def test_a_layer_of_the_state_has_its_layer_of_the_cell():
    encoder, decoder = gated(nn.RNN(3, 4, 2), "lstm", 1.0), gated(nn.RNN(3, 4), "lstm", 1.0)
    x = torch.randn(5, 2, 3)
    _, (h, c) = nn.LSTM.forward(encoder, x)
    expected, _ = nn.LSTM.forward(decoder, x, (h[-1:], c[-1:]))
    _, h = encoder(x)
    assert torch.equal(decoder(x, h[-1:])[0], expected)


@pytest.mark.parametrize(
    "computed",
    [lambda h: h * 1.0, lambda h: h.clone(), lambda h: h[[0]], lambda h: h.zero_()],
    ids=["product", "copy", "chosen rows", "changed in place"],
)
def test_a_computed_state_begins_with_an_empty_cell(computed):
    layer, x = gated(nn.RNN(3, 4), "lstm", 1.0), torch.randn(5, 2, 3)
    with torch.no_grad():
        h = computed(layer(x)[1])
        expected, _ = nn.LSTM.forward(layer, x, (h, torch.zeros_like(h)))
        assert torch.equal(layer(x, h)[0], expected)


def test_an_lstms_own_state_gives_an_lstms_own_state():
    layer, cell, h = HiddenLSTM(3, 4), HiddenLSTMCell(3, 4), torch.zeros(1, 2, 4)
    assert isinstance(layer(torch.randn(5, 2, 3), (h, h))[1], tuple)
    assert isinstance(cell(torch.randn(2, 3), (h[0], h[0])), tuple)


@pytest.mark.parametrize("kind", [HiddenLSTM, HiddenLSTMCell])
def test_forgets_what_nobody_holds_any_more(kind):
    """Though no backward frees the graph."""
    gc.collect()
    before = len(recurrent._CELLS)
    answer = kind(3, 4)(torch.randn(2, 3))
    h = answer[1] if isinstance(answer, tuple) else answer
    cell = weakref.ref(recurrent._CELLS[h.untyped_storage()][0])
    assert len(recurrent._CELLS) == before + 1
    del answer, h
    gc.collect()
    assert len(recurrent._CELLS) == before
    assert cell() is None


def test_copies_and_pickles():
    layer, x = gated(nn.RNN(3, 4), "lstm", 1.0), torch.randn(5, 2, 3)
    layer(x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(other) is HiddenLSTM
        assert torch.equal(other(x)[0], layer(x)[0])


def test_inference_mode_and_transforms():
    layer, x = HiddenLSTM(3, 4), torch.randn(5, 2, 3)
    with torch.inference_mode():
        _, h = layer(x[:2])
        assert torch.allclose(layer(x[2:], h)[0], layer(x)[0][2:], atol=1e-6)
    slope = torch.func.grad(lambda h: handed_out(h, h).square().sum())(torch.ones(2))
    assert slope.tolist() == [2.0, 2.0]


class Own(nn.RNN):
    """A class of the user's."""


def pair():
    """Two layers that share their recurrent weights."""
    net = nn.Sequential(nn.RNN(4, 4), nn.RNN(4, 4))
    net[1].weight_hh_l0 = net[0].weight_hh_l0
    return net


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (nn.Sequential(Own(2, 2)), "a class of its own"),
        (nn.Sequential(nn.utils.parametrizations.orthogonal(nn.RNN(2, 2), "weight_hh_l0")), "a parametrization"),
        (nn.Sequential(nn.RNN(2, 2).requires_grad_(False)), "frozen"),
        (pair(), "shares weights"),
        (nn.Sequential(nn.RNN(2, 2)), ""),
    ],
)
def test_what_is_left_alone(net, why):
    said = hindered(net[0], net)
    assert why in said
    assert bool(said) == bool(why)
