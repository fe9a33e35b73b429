"""Twins of sick_through_time.py: gated cells that begin by keeping what they read, at the fit's own learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from fit import Setup
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from twin import Twin
from zoo._data import batches, passages, text
from zoo._networks import Learner, on_digits
from zoo.sick_through_time import Loop, Reader, Recall


def keeping(layer: Any, steps: int) -> Any:
    """An LSTM or GRU that begins by carrying its state over so many steps.

    The gate that keeps begins at ln(steps - 1): Tallec and Ollivier, Can recurrent neural networks warp time? (2018).
    """
    width = layer.hidden_size
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "bias_ih" in name:  # both have it second: the LSTM's forget gate, the GRU's update gate
                parameter[width : 2 * width] = math.log(steps - 1)
            if "weight_hh" in name:
                for part in parameter.chunk(parameter.shape[0] // width):
                    nn.init.orthogonal_(part)
    return layer


def _lstm(steps: int, **options: Any) -> Any:
    return keeping(nn.LSTM(8, 48, batch_first=True, **options), steps)


def _recall(wait: int = 40, **options: Any) -> Any:
    return on_digits(lambda: Recall(_lstm(wait + 8, **options), wait))


class Packed(nn.Module):
    """Sequences of several lengths, packed."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = _lstm(48), nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = nn.functional.pad(x.unflatten(1, (8, 8)), (0, 0, 0, 40))
        lengths = torch.arange(len(x)).remainder(12).sub(48).neg()
        _, (last, _) = self.recurrent(pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False))
        return self.head(last[0])


def _loop(wait: int = 40) -> Any:
    def network() -> nn.Module:
        loop = Loop(wait)
        loop.cell = keeping(nn.GRUCell(8, 48), wait + 8)
        return loop

    return on_digits(network)


def _reader() -> Reader:
    reader = Reader()
    reader.recurrent = keeping(nn.LSTM(16, 48, batch_first=True), 40)
    return reader


def _first_byte(seed: int) -> Setup:
    windows = text().unfold(0, 40, 7)[:1536]
    loader = batches((windows.contiguous(), windows[:, 0].contiguous()), seed)
    return Setup(module=Learner(_reader()), loader=loader)


TWINS = {
    "rnn-tanh-recall-40": Twin(build=_recall()),
    "rnn-relu-recall-40": Twin(build=_recall()),
    "rnn-cell-loop-40": Twin(build=_loop()),
    "rnn-by-hand-32": Twin(build=_loop(32)),
    "rnn-packed-40": Twin(build=on_digits(Packed)),
    "rnn-two-layers-recall-30": Twin(build=_recall(30, num_layers=2)),
    "rnn-weak-recurrence-12": Twin(build=_recall(12)),
    "lstm-closed-forget-gates": Twin(build=_recall(24)),
    "gru-closed-update-gates": Twin(build=_recall(24)),
    "rnn-truncated-at-8": Twin(
        build=_loop(24), bug="The loop detaches the state every eight steps: no edit of a cell brings a gradient back."
    ),
    "rnn-text-first-byte-40": Twin(build=_first_byte),
    "rnn-text-32-sigmoid-cell": Twin(build=lambda seed: Setup(module=Learner(_reader()), loader=passages(seed, 24))),
}
