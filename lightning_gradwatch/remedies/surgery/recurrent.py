"""Recurrent layers with gates that take and give what a plain ``nn.RNN`` takes and gives: a hidden state, one tensor.

An LSTM has a second state, its cell.  Where code carries the hidden state from call to call (a loop over a cell,
truncated backpropagation through time) the cell has to come along, though that code does not know of it: it is found
again by the storage of the hidden state that was handed out.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from lightning_gradwatch.anatomy.names import every_module
from lightning_gradwatch.remedies.surgery.kept_hooks import MODULE_HOOKS

# Storage of a hidden state that was handed out -> the cell that belongs to it, and the state's version at that time.
_CELLS: weakref.WeakKeyDictionary[Any, tuple[Tensor, int]] = weakref.WeakKeyDictionary()


F = TypeVar("F", bound=Callable[..., Any])


def _in_python(function: F) -> F:
    """Compilers leave it as it is: a graph has no tables."""
    return cast(F, torch.compiler.disable(function))


class HiddenLSTM(nn.LSTM):
    """An LSTM in the place of an ``nn.RNN``: ``output, h = layer(input, h)``.

    The cell travels with the tensor ``h``, with what shares its memory (``h.detach()``, ``h[-1:]``) and is cut from the
    graph where that is.  With a state that was computed from it, or changed in place, the cell begins at zero.  Called
    with an LSTM's own ``(h, c)`` it gives an LSTM's own ``(h, c)``.

    Shapes: those of ``nn.RNN``.

    Example:
        >>> layer, x = HiddenLSTM(2, 3, batch_first=True), torch.randn(4, 6, 2)
        >>> whole, h = layer(x)
        >>> first, state = layer(x[:, :2])
        >>> rest, last = layer(x[:, 2:], state)
        >>> h.shape, torch.allclose(whole[:, 2:], rest, atol=1e-6), torch.allclose(h, last, atol=1e-6)
        (torch.Size([1, 4, 3]), True, True)
    """

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The output of every step, and the last hidden state."""
        if isinstance(hx, tuple):
            return super().forward(input, hx)
        state: Any = None if hx is None else (hx, cell_of(hx))
        output, (h, c) = super().forward(input, state)
        return output, handed_out(h, c)


class HiddenLSTMCell(nn.LSTMCell):
    """An LSTM cell in the place of an ``nn.RNNCell``: ``h = cell(input, h)``; its second state as in ``HiddenLSTM``."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """The next hidden state."""
        if isinstance(hx, tuple):
            return super().forward(input, hx)
        h, c = super().forward(input, None if hx is None else (hx, cell_of(hx)))
        return handed_out(h, c)


@_in_python
def handed_out(h: Tensor, c: Tensor) -> Tensor:
    """The hidden state as it is given out, by whose storage the cell is found again.

    A copy, of which nothing in the cell's own graph knows: else the two would keep each other alive for ever.
    """
    h = h.clone(memory_format=torch.contiguous_format)
    storage = _storage(h)
    if storage is not None:
        _CELLS[storage] = c.contiguous(), _version(h)
    return h


@_in_python
def cell_of(h: Tensor) -> Tensor:
    """The cell that belongs to a hidden state; zeros where the state is not one that was handed out.

    Example:
        >>> h = handed_out(torch.zeros(2, 3), torch.ones(2, 3))
        >>> cell_of(h[1]), cell_of(h + 0)[0]
        (tensor([1., 1., 1.]), tensor([0., 0., 0.]))
    """
    storage = _storage(h)
    cell, version = _CELLS.get(storage, (None, 0)) if storage is not None else (None, 0)
    if cell is None or version != _version(h) or (cell.dtype, cell.device) != (h.dtype, h.device):
        return torch.zeros_like(h)
    cell = cell.as_strided(h.size(), h.stride(), h.storage_offset())
    return cell if h.requires_grad else cell.detach()


def _storage(h: Tensor) -> Any:
    try:
        return h.untyped_storage()
    except (NotImplementedError, RuntimeError):  # inside torch.func's transforms a tensor has none
        return None


def _version(h: Tensor) -> int:
    return 0 if h.is_inference() else h._version


# --- from plain to gated ----------------------------------------------------------------------------------------------


def gated(plain: nn.Module, to: str, forget_bias: float) -> nn.Module:
    """A layer with gates in the place of a plain one: sizes, directions, dropout, device and dtype are kept.

    Every gate's recurrent weights are orthogonal (Saxe, McClelland & Ganguli 2013), its input weights Xavier's (Glorot
    & Bengio 2010, equation 16), biases 0; the gate that keeps the state (an LSTM's forget gate, a GRU's update gate)
    starts at ``forget_bias``: the two biases, which torch adds up, get one half each.

    Args:
        plain: an ``nn.RNN`` or ``nn.RNNCell``.
        to: ``"lstm"`` or ``"gru"``.
        forget_bias: Jozefowicz, Zaremba & Sutskever (2015), section 3.2: 1.

    Example:
        >>> gated(nn.RNN(2, 3, num_layers=2, batch_first=True), "gru", 1.0)
        GRU(2, 3, num_layers=2, batch_first=True)
    """
    weight = next(plain.parameters())
    where = {"device": weight.device, "dtype": weight.dtype}
    if isinstance(plain, nn.RNNCell):
        new = (HiddenLSTMCell if to == "lstm" else nn.GRUCell)(plain.input_size, plain.hidden_size, plain.bias, **where)
    else:
        assert isinstance(plain, nn.RNN)
        new = (HiddenLSTM if to == "lstm" else nn.GRU)(
            plain.input_size,
            plain.hidden_size,
            plain.num_layers,
            bias=plain.bias,
            batch_first=plain.batch_first,
            bidirectional=plain.bidirectional,
            **where,
        )
        new.dropout = plain.dropout  # not as an argument: for one layer torch would warn of it a second time
    if not weight.is_meta:
        _draw(new, forget_bias)
    return new


@torch.no_grad()
def _draw(layer: Any, forget_bias: float) -> None:
    width = layer.hidden_size
    for name, parameter in layer.named_parameters():
        if name.startswith("bias"):
            parameter.zero_()
            parameter[width : 2 * width] = forget_bias / 2  # of both kinds the second block of torch's order
            continue
        draw = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
        for gate in parameter.split(width):
            # In single precision: half precision has no QR decomposition.
            gate.copy_(draw(torch.empty(gate.shape, device=gate.device)))


# --- what is left alone -----------------------------------------------------------------------------------------------

_OWN = re.compile(r"(weight|bias)_(ih|hh)(_l\d+(_reverse)?)?")


def hindered(plain: nn.Module, model: nn.Module) -> str:
    """Why a plain recurrent layer cannot be replaced, the end of a sentence; "" where it can.

    Example:
        >>> layer = nn.RNN(1, 1)
        >>> hindered(layer, layer)
        'it is the layer itself: nothing holds it in which another could be put.'
        >>> hindered(layer, nn.Sequential(layer.requires_grad_(False)))
        'its weights are frozen, and new ones would not be trained.'
    """
    if plain is model:
        return "it is the layer itself: nothing holds it in which another could be put."
    if not all(_OWN.fullmatch(name) for name, _ in plain.named_parameters()):
        return "its weights are computed from others (a parametrization)."
    if type(plain) not in (nn.RNN, nn.RNNCell):
        return f"{type(plain).__name__} is a class of its own, whose forward may do anything."
    if any(not parameter.requires_grad for parameter in plain.parameters()):
        return "its weights are frozen, and new ones would not be trained."
    own = {id(parameter) for parameter in plain.parameters()}
    others = (module for module in every_module(model) if module is not plain)
    if any(id(p) in own for module in others for p in module._parameters.values()):
        return "it shares weights with another layer."
    return ""


def hooks_kept(old: nn.Module, new: nn.Module) -> None:
    """The hooks on a layer are on the one in its place, by the very registries that their handles remove them from."""
    for name in (*MODULE_HOOKS, "_is_full_backward_hook"):
        if old.__dict__.get(name):
            new.__dict__[name] = old.__dict__[name]
