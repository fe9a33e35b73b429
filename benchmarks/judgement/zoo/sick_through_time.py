"""Vanishing through time: tasks that need what was read first, in recurrent nets that do not carry it."""

from __future__ import annotations

from typing import Any

import torch
from fit import Fit, Setup
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from zoo._data import batches, passages, text
from zoo._networks import Learner, adam, on_digits
from zoo._sick import sick

VANISHING = ("vanishing",)
RECURRENCE = ("recurrence",)


class Recall(nn.Module):
    """Reads a digit row by row, waits, and answers from the last state."""

    def __init__(self, recurrent: Any, wait: int = 40, width: int = 48) -> None:
        super().__init__()
        self.recurrent, self.wait, self.head = recurrent, wait, nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.recurrent(nn.functional.pad(x.unflatten(1, (8, 8)), (0, 0, 0, self.wait)))
        return self.head(states[:, -1])


class Loop(nn.Module):
    """The same by hand, a cell a step; cuts its own gradient every ``cut`` steps where given."""

    def __init__(self, wait: int = 40, width: int = 48, cut: int = 0) -> None:
        super().__init__()
        self.cell, self.head, self.wait, self.cut = nn.RNNCell(8, width), nn.Linear(width, 10), wait, cut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = x.new_zeros(len(x), self.cell.hidden_size)
        for step, row in enumerate(nn.functional.pad(x.unflatten(1, (8, 8)), (0, 0, 0, self.wait)).unbind(1)):
            state = self.cell(row, state.detach() if self.cut and step % self.cut == 0 else state)
        return self.head(state)


class ByHand(nn.Module):
    """A recurrent net of bare linear layers and a functional tanh."""

    def __init__(self, wait: int = 32, width: int = 48) -> None:
        super().__init__()
        self.enter, self.again, self.head = nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, 10)
        self.wait = wait

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = x.new_zeros(len(x), 48)
        for row in nn.functional.pad(x.unflatten(1, (8, 8)), (0, 0, 0, self.wait)).unbind(1):
            state = torch.tanh(self.enter(row) + self.again(state))
        return self.head(state)


class Packed(nn.Module):
    """Sequences of several lengths, packed: what is to be recalled stands at the start of each."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.recurrent, self.head = nn.RNN(8, width, batch_first=True), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = nn.functional.pad(x.unflatten(1, (8, 8)), (0, 0, 0, 40))
        lengths = torch.arange(len(x)).remainder(12).sub(48).neg()
        _, last = self.recurrent(pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False))
        return self.head(last[0])


class Reader(nn.Module):
    """Reads bytes and answers from the last state."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.embedding, self.recurrent = nn.Embedding(128, 16), nn.RNN(16, width, batch_first=True)
        self.head = nn.Linear(width, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.recurrent(self.embedding(x))
        return self.head(states[:, -1])


def _gate(layer: Any, gate: int, bias: float) -> Any:
    """Sets the bias of one gate of all layers (torch's order: LSTM input, forget, cell, output; GRU reset, update)."""
    width = layer.hidden_size
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "bias_ih" in name:
                parameter[gate * width : (gate + 1) * width] = bias
    return layer


def _scaled(layer: Any, factor: float) -> Any:
    with torch.no_grad():
        layer.weight_hh_l0.mul_(factor)
    return layer


def _rnn(**options: Any) -> nn.RNN:
    return nn.RNN(8, 48, batch_first=True, **options)


def _first_byte(seed: int) -> Setup:
    windows = text().unfold(0, 40, 7)[:1536]
    return Setup(module=Learner(Reader()), loader=batches((windows.contiguous(), windows[:, 0].contiguous()), seed))


def _fit(name: str, why: str, network: Any, causes: tuple[str, ...] = RECURRENCE, **more: Any) -> Fit:
    more = {"steps": 120, **more}
    build = on_digits(network, optimizer=adam(lr=1e-3))
    return sick(name, "rnn", why, more.pop("kinds", VANISHING), causes, build, **more)


FITS: tuple[Fit, ...] = (
    _fit("rnn-tanh-recall-40", "A plain tanh RNN has to carry a digit over 40 empty steps.", lambda: Recall(_rnn())),
    _fit(
        "rnn-relu-recall-40",
        "The same with ReLU units and torch's default weights.",
        lambda: Recall(_rnn(nonlinearity="relu")),
    ),
    _fit("rnn-cell-loop-40", "A hand-written loop over an RNNCell.", Loop),
    _fit("rnn-by-hand-32", "A recurrent net of bare linear layers and torch.tanh.", ByHand),
    _fit("rnn-packed-40", "Packed sequences of 37 to 48 steps; the digit stands at their start.", Packed),
    _fit(
        "rnn-two-layers-recall-30",
        "Two stacked layers of a plain RNN.",
        lambda: Recall(_rnn(num_layers=2), 30),
        seeds=(0,),
    ),
    _fit(
        "rnn-weak-recurrence-12",
        "Recurrent weights of a fifth of the default: what was read fades within a few steps.",
        lambda: Recall(_scaled(_rnn(), 0.2), 12),
        ("recurrence", "initialization"),
    ),
    _fit(
        "lstm-closed-forget-gates",
        "Forget gates that begin at exp(-6): the cell keeps nothing.",
        lambda: Recall(_gate(nn.LSTM(8, 48, batch_first=True), 1, -6.0), 24),
        ("recurrence", "initialization"),
    ),
    _fit(
        "gru-closed-update-gates",
        "Update gates that begin at exp(-6): the state is written anew every step.",
        lambda: Recall(_gate(nn.GRU(8, 48, batch_first=True), 1, -6.0), 24),
        ("recurrence", "initialization"),
    ),
    _fit(
        "rnn-truncated-at-8",
        "The state is detached every eight steps, and what is to be recalled lies before: it gets no gradient at all.",
        lambda: Loop(wait=24, cut=8),
        ("disconnected", "recurrence"),
        kinds=("vanishing", "disconnected"),
    ),
    sick(
        "rnn-text-first-byte-40",
        "rnn",
        "The first byte of 40 is asked for after the last one.",
        VANISHING,
        RECURRENCE,
        _first_byte,
        steps=120,
    ),
    sick(
        "rnn-text-32-sigmoid-cell",
        "rnn",
        "A recurrent layer whose nonlinearity is a sigmoid loses at least a factor of four a step.",
        VANISHING,
        ("recurrence", "activation"),
        lambda seed: Setup(module=Learner(SigmoidReader()), loader=passages(seed, 24)),
        steps=80,
        seeds=(0,),
    ),
)


class SigmoidReader(nn.Module):
    """Predicts the byte that follows by a recurrent sigmoid layer."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.embedding, self.enter = nn.Embedding(128, 16), nn.Linear(16, width)
        self.again, self.act, self.head = nn.Linear(width, width), nn.Sigmoid(), nn.Linear(width, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedded = self.embedding(x)
        state = embedded.new_zeros(len(x), self.again.in_features)
        for step in embedded.unbind(1):
            state = self.act(self.enter(step) + self.again(state))
        return self.head(state)
