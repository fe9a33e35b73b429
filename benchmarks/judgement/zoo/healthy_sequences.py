"""Sequences: recurrent layers, hand-written loops, convolutions through time; every step reaches the loss."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from . import _healthy_data as data
from ._healthy_networks import LastStep
from ._healthy_task import accuracy, adam, healthy, recipe

HIDDEN = 48


def recurrent(kind: type[nn.RNNBase], inputs: int = 8, **options) -> LastStep:
    return LastStep(kind(inputs, HIDDEN, batch_first=True, **options), HIDDEN)


def orthogonal() -> LastStep:
    """A plain RNN whose recurrent matrix keeps lengths."""
    network = recurrent(nn.RNN)
    nn.init.orthogonal_(network.cell.weight_hh_l0)
    return network


class Loop(nn.Module):
    """A loop over a cell, written by hand."""

    def __init__(self, cell: nn.Module, *, identity: bool = False) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(HIDDEN, 10)
        nn.init.eye_(cell.weight_hh) if identity else None

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), HIDDEN)
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state)


class Decided(nn.Module):
    """An LSTM with a forget gate that starts wide open, and stays so: a gate that should be decided."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(2, HIDDEN, batch_first=True), nn.Linear(HIDDEN, 10)
        with torch.no_grad():
            self.cell.bias_hh_l0[HIDDEN : 2 * HIDDEN] = 4.0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Packed(nn.Module):
    """Sequences of unequal length, packed; the length is the last row that is not empty."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRU(8, HIDDEN, batch_first=True), nn.Linear(HIDDEN, 10)

    def forward(self, x: Tensor) -> Tensor:
        filled = x.abs().sum(2) > 0
        lengths = (filled * torch.arange(1, x.shape[1] + 1)).amax(1).clamp_min(1)
        return self.head(self.cell(pack_padded_sequence(x, lengths, True, enforce_sorted=False))[1][-1])


class BothWays(nn.Module):
    """Two layers that read in both directions, and the mean of what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, HIDDEN, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0].mean(1))


class Temporal(nn.Module):
    """Dilated causal convolutions through 64 steps, with skips."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv1d(1, 24, 1), nn.Linear(24, 10)
        self.layers = nn.ModuleList(nn.Conv1d(24, 24, 3, dilation=2**i) for i in range(5))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x.transpose(1, 2))
        for i, layer in enumerate(self.layers):
            h = h + layer(functional.pad(h, (2 ** (i + 1), 0))).relu()
        return self.head(h[:, :, -1])


class Bytes(nn.Module):
    """Which byte comes next, or after every byte."""

    def __init__(self, *, every: bool) -> None:
        super().__init__()
        self.embed, self.cell = nn.Embedding(128, 24), nn.LSTM(24, HIDDEN, batch_first=True)
        self.head, self.every = nn.Linear(HIDDEN, 128), every

    def forward(self, x: Tensor) -> Tensor:
        out = self.cell(self.embed(x))[0]
        return self.head(out).transpose(1, 2) if self.every else self.head(out[:, -1])


class Bag(nn.Module):
    """The mean of embeddings, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(128, 32), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x).mean(1).relu())


def right_bytes(out: Tensor, y: Tensor) -> float:
    return (out.argmax(1) == y).float().mean().item()


def pairs(seed: int) -> data.Table:
    """The digits read two pixels at a time: 32 steps."""
    return data.digits(seed).on(lambda x: x.reshape(-1, 32, 2))


def doubled(seed: int) -> data.Table:
    """Sixteen rows: the digit, row by row, each twice."""
    return data.rows(seed).on(lambda x: x.repeat_interleave(2, 1))


FITS = (
    healthy(
        "rnn-tanh-8-rows",
        "rnn",
        "Eight steps are few enough for a plain RNN.",
        recipe(lambda: recurrent(nn.RNN), data.rows, optimizer=adam(5e-3)),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "rnn-orthogonal-8-rows",
        "rnn",
        "A recurrent matrix that keeps lengths.",
        recipe(orthogonal, data.rows, optimizer=adam(3e-3)),
        steps=200,
    ),
    healthy(
        "rnn-relu-identity-16-loop",
        "rnn",
        "A hand-written loop, ReLU from the identity, as in IRNN.",
        recipe(lambda: Loop(nn.RNNCell(8, HIDDEN, nonlinearity="relu"), identity=True), doubled),
        steps=150,
    ),
    healthy(
        "gru-cell-8-loop",
        "rnn",
        "A hand-written loop over a gated cell.",
        recipe(lambda: Loop(nn.GRUCell(8, HIDDEN)), data.rows, optimizer=adam(5e-3)),
        steps=150,
    ),
    healthy(
        "lstm-8-rows",
        "rnn",
        "An LSTM over rows.",
        recipe(lambda: recurrent(nn.LSTM), data.rows, optimizer=adam(0.01)),
        seeds=(0, 1),
    ),
    healthy(
        "gru-16-rows-doubled",
        "rnn",
        "A GRU over sixteen steps.",
        recipe(lambda: recurrent(nn.GRU), doubled, optimizer=adam(0.01)),
        steps=150,
    ),
    healthy(
        "lstm-32-pairs-open-gates",
        "rnn",
        "Forget gates are saturated open, which carries 32 steps.",
        recipe(Decided, pairs, optimizer=adam(0.02)),
        steps=250,
    ),
    healthy(
        "lstm-2-bidirectional",
        "rnn",
        "Two layers, both directions.",
        recipe(BothWays, data.rows, optimizer=adam(5e-3)),
        steps=120,
    ),
    healthy(
        "gru-packed-rows",
        "rnn",
        "Unequal lengths, packed: short ones end early.",
        recipe(Packed, data.rows, optimizer=adam(0.01)),
        steps=120,
    ),
    healthy(
        "tcn-64-pixels",
        "rnn",
        "Dilated convolutions with skips through 64 steps.",
        recipe(Temporal, data.pixels, optimizer=adam(3e-3)),
        steps=150,
    ),
    healthy(
        "lstm-language-every-byte",
        "rnn",
        "A loss on every step.",
        recipe(
            lambda: Bytes(every=True), partial(data.next_bytes, 24), batch=32, score=right_bytes, optimizer=adam(0.01)
        ),
        steps=150,
    ),
    healthy(
        "text-bag-of-embeddings",
        "table",
        "Rows of bytes that a batch lacks have no gradient.",
        recipe(Bag, data.topics, score=accuracy, optimizer=adam(0.02)),
        steps=200,
        seeds=(0, 1),
    ),
)
