"""What a fused recurrent layer shows of its gates: the biases that its node saved."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.measure.activations import saved

_LSTM = 2  # torch's number for the mode of a fused layer


def retention(node: Any) -> tuple[Tensor, int] | None:
    """Share of its cell that a fused LSTM keeps a step, by the biases of its forget gates, and its number of steps.

    None where the node is another one, or keeps no biases to look at.

    Args:
        node: an autograd node, before the backward pass frees it.

    Returns:
        sigmoid of the forget gates' biases (torch's order: input, forget, cell, output), the mean over units, a 0-d
        tensor; and how many time steps there are.
    """
    if getattr(node, "_saved_mode", None) != _LSTM or not getattr(node, "_saved_has_biases", False):
        return None
    width, sequence = getattr(node, "_saved_hidden_size", 0), saved(node, "input")
    biases = [saved(node, name) for name in ("weight2", "weight3")]
    if sequence is None or sequence.dim() < 2 or any(bias is None or bias.numel() != 4 * width for bias in biases):
        return None
    forget = sum(bias[width : 2 * width].float() for bias in biases if bias is not None)
    return torch.sigmoid(torch.as_tensor(forget)).mean(), len(sequence)
