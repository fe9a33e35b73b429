"""Twins of sick_through_time.py: gated cells that begin by keeping what they read, at a rate that suits them."""

from __future__ import annotations

from typing import Any

import torch
from fit import Setup
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from twin import Twin
from zoo._data import batches, passages, text
from zoo._networks import Learner, adam, on_digits
from zoo.sick_through_time import Loop, Reader, Recall

RATE = adam(lr=1e-2)


def keeping(layer: Any) -> Any:
    """A GRU that begins by carrying its state (Tallec & Ollivier 2018, Can recurrent neural networks warp time?)."""
    width = layer.hidden_size
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "bias_ih" in name:
                parameter[width : 2 * width] = 3.0
            if "weight_hh" in name:
                for part in parameter.chunk(3):
                    nn.init.orthogonal_(part)
    return layer


def _gru(**options: Any) -> Any:
    return keeping(nn.GRU(8, 48, batch_first=True, **options))


def _recall(wait: int = 40, **options: Any) -> Any:
    return on_digits(lambda: Recall(_gru(**options), wait), optimizer=RATE)


class Packed(nn.Module):
    """Sequences of several lengths, packed."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = _gru(), nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = nn.functional.pad(x.unflatten(1, (8, 8)), (0, 0, 0, 40))
        lengths = torch.arange(len(x)).remainder(12).sub(48).neg()
        _, last = self.recurrent(pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False))
        return self.head(last[0])


def _loop(wait: int = 40) -> Any:
    def network() -> nn.Module:
        loop = Loop(wait)
        loop.cell = keeping(nn.GRUCell(8, 48))
        return loop

    return on_digits(network, optimizer=RATE)


def _reader() -> Reader:
    reader = Reader()
    reader.recurrent = keeping(nn.GRU(16, 48, batch_first=True))
    return reader


def _first_byte(seed: int) -> Setup:
    windows = text().unfold(0, 40, 7)[:1536]
    loader = batches((windows.contiguous(), windows[:, 0].contiguous()), seed)
    return Setup(module=Learner(_reader(), optimizer=RATE), loader=loader)


TWINS = {
    "rnn-tanh-recall-40": Twin(build=_recall()),
    "rnn-relu-recall-40": Twin(build=_recall()),
    "rnn-cell-loop-40": Twin(build=_loop()),
    "rnn-by-hand-32": Twin(build=_loop(32)),
    "rnn-packed-40": Twin(build=on_digits(Packed, optimizer=RATE)),
    "rnn-two-layers-recall-30": Twin(build=_recall(30, num_layers=2)),
    "rnn-weak-recurrence-12": Twin(build=_recall(12)),
    "lstm-closed-forget-gates": Twin(build=_recall(24)),
    "gru-closed-update-gates": Twin(build=_recall(24)),
    "rnn-truncated-at-8": Twin(
        build=_loop(24), bug="The loop detaches the state every eight steps: no edit of a cell brings a gradient back."
    ),
    "rnn-text-first-byte-40": Twin(build=_first_byte),
    "rnn-text-32-sigmoid-cell": Twin(
        build=lambda seed: Setup(module=Learner(_reader(), optimizer=RATE), loader=passages(seed, 24))
    ),
}
