"""Recurrent layers that hand on what they hold: orthogonal weights, gates that stay open."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lightning_gradwatch.records import Kind
from lightning_gradwatch.verify.interventions.base import Change, Scene, done, some


def steady_recurrence(scene: Scene) -> Change | None:
    """The recurrent weights replaced by the orthogonal ones that are nearest; of gated cells the gates opened.

    Gates are opened where too little arrives only: a gate that is open multiplies by 1 at most.
    """
    cells = [*_cells(scene)]
    matrices = [weight for cell in cells for weight in _square(cell)]
    for weight in matrices:
        _straighten(weight)
    gates = [cell for cell in cells if scene.finding.kind is Kind.VANISHING and _open(cell, _steps(scene))]
    told = [f"the recurrent weights of {some(len(matrices), 'layer')} made orthogonal"] if matrices else []
    told += [f"the gates of {some(len(gates), 'layer')} opened for {_steps(scene)} steps"] if gates else []
    return done(" and ".join(told)) if told else None


def _cells(scene: Scene) -> Iterator[nn.Module]:
    """The recurrent modules that the finding is about, or that stand on its path, and those inside them."""
    names = [*scene.finding.layers[:1], *scene.on_path] if "_in_time" not in scene.finding.id else scene.finding.layers
    found: dict[int, nn.Module] = {}
    for name in names:
        for module in scene.modules[name].modules() if name in scene.modules else ():
            found[id(module)] = module
    is_hand_made = "_in_time" in scene.finding.id  # a loop over linear layers, which only time tells from others
    for module in found.values():
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase)) or (is_hand_made and isinstance(module, nn.Linear)):
            yield module


def _square(cell: nn.Module) -> list[Tensor]:
    """Its recurrent matrices, where one of them is the whole recurrence: not of a gated cell."""
    if isinstance(cell, nn.Linear):
        return [cell.weight] if cell.weight.shape[0] == cell.weight.shape[1] else []
    own = [p for name, p in cell.named_parameters(recurse=False) if name.startswith("weight_hh")]
    return [weight for weight in own if weight.shape[0] == weight.shape[1]]


@torch.no_grad()
def _straighten(weight: Tensor) -> None:
    """The nearest orthogonal matrix (the polar factor: Higham 1989), which multiplies every gradient by 1."""
    left, _, right = torch.linalg.svd(weight.double())
    weight.copy_(left @ right)


@torch.no_grad()
def _open(cell: nn.Module, steps: int) -> bool:
    """Biases that let a gate keep 1 - 1/steps (Tallec & Ollivier 2018, section 2); whether the cell has such gates.

    Of a GRU the update gate, of an LSTM the forget gate: both are the second of the blocks in torch's order.
    """
    if not isinstance(cell, (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell)):
        return False
    width = cell.hidden_size
    biases = [p for name, p in cell.named_parameters(recurse=False) if name.startswith("bias_ih")]
    others = [p for name, p in cell.named_parameters(recurse=False) if name.startswith("bias_hh")]
    for bias in biases:
        bias[width : 2 * width] = math.log(max(2, steps) - 1) or 1.0
    for bias in others:
        bias[width : 2 * width] = 0.0
    return bool(biases)


def _steps(scene: Scene) -> int:
    return max((profile.steps for profile in scene.frame.times), default=32)
