"""A fixed standardisation in front of the layers that get a network's raw input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import conv
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence

from lightning_gradwatch.anatomy.names import every_module
from lightning_gradwatch.remedies.surgery.reading import read

CHILD = "input_scale"  # the attribute under which a layer has its own
_INSIDE = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


class InputScale(nn.Module):
    """``(x - mean) / std`` for each feature; leaves everything as it is until it was measured.

    Args:
        features: how many there are.
        axis: where an input has them, counted from behind.
        like: a tensor on whose device the numbers are to lie.

    Example:
        >>> scale = InputScale(2, -1)
        >>> _ = scale.mean.copy_(torch.tensor([1.0, 10.0])), scale.std.copy_(torch.tensor([1.0, 5.0]))
        >>> scale(torch.tensor([[2.0, 0.0]]))
        tensor([[ 1., -2.]])
    """

    mean: Tensor
    std: Tensor
    seen: Tensor

    def __init__(self, features: int, axis: int, like: Tensor | None = None) -> None:
        super().__init__()
        self.axis = axis
        device = None if like is None else like.device
        self.register_buffer("mean", torch.zeros(features, device=device))
        self.register_buffer("std", torch.ones(features, device=device))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long, device=device))  # values of a feature; 0: none

    def forward(self, x: Tensor) -> Tensor:
        """The input, standardised, in its own dtype."""
        shape = [-1, *[1] * (-1 - self.axis)]
        return ((x - self.mean.view(shape)) / self.std.view(shape)).to(x.dtype)

    def extra_repr(self) -> str:
        """What is read in a printed network."""
        return f"{self.mean.numel()}, axis={self.axis}"


class Standardises:
    """A hook before a layer, which copies and pickles with it."""

    def __call__(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The same arguments with the first of them standardised."""
        scale: Any = getattr(layer, CHILD)
        if args:
            return (_through(scale, args[0]), *args[1:]), kwargs
        name = next(iter(kwargs), None)
        return args, kwargs if name is None else {**kwargs, name: _through(scale, kwargs[name])}


def _through(scale: InputScale, given: Any) -> Any:
    if isinstance(given, PackedSequence):
        return given._replace(data=scale(given.data))
    return scale(given) if isinstance(given, Tensor) and given.is_floating_point() else given


def insert(layer: nn.Module) -> InputScale:
    """Put one in front of a layer; the layer keeps its name and its parameters."""
    features, axis = layout_of(layer)
    scale = InputScale(features, axis, next(layer.parameters(), None))
    layer.add_module(CHILD, scale)
    layer.register_forward_pre_hook(Standardises(), with_kwargs=True)
    return scale


def layout_of(layer: nn.Module) -> tuple[int, int]:
    """How many features a layer takes, and where, counted from behind; (0, 0) for one that takes none or another."""
    if any(map(is_lazy, layer.parameters(recurse=False))):
        return 0, 0
    if isinstance(layer, conv._ConvNd):
        return layer.in_channels, -1 - len(layer.kernel_size)
    if isinstance(layer, nn.Linear):
        return layer.in_features, -1
    if isinstance(layer, (nn.RNNBase, nn.RNNCellBase)):
        return layer.input_size, -1
    return 0, 0


def entries(model: nn.Module) -> list[nn.Module]:
    """The layers that get the raw input, as far as the network's code tells: nothing with weights comes before them.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> entries(model) == [model[1]]
        True
    """
    flow, hidden = read(model), _hidden(model)
    ways = [way for way in flow.ways if any(layout_of(c.module)[0] for c in way.calls if c.module is not None)]
    found = []
    for way in ways or [flow.in_order]:
        for call in way.calls:
            learnt = call.weighted and any(_learns(one.module) for one in way.before(call))
            if call.module is not None and call.weighted and not learnt and layout_of(call.module)[0]:
                found.append(call.module)
    return [layer for layer in dict.fromkeys(found) if id(layer) not in hidden]


def _learns(module: nn.Module | None) -> bool:
    return module is not None and next(module.parameters(), None) is not None


def _hidden(model: nn.Module) -> set[int]:
    """Layers whose weights are used without the layer being called."""
    return {id(part) for whole in every_module(model) if isinstance(whole, _INSIDE) for part in every_module(whole)}


def scales_in(model: nn.Module) -> list[tuple[nn.Module, InputScale]]:
    """The layers of a network that have a standardisation, and these."""
    found = [(layer, layer._modules.get(CHILD)) for layer in every_module(model)]
    return [(layer, scale) for layer, scale in found if isinstance(scale, InputScale)]
