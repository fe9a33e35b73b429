"""Decoders of a layer's code: back to the shape of what the layer was given; thrown away after the pretraining."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Size, Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd

# Weights that a decoder may have where it has to lead from every number of a code to every number of an input.
_LARGEST = 4_000_000
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def decoder_for(layer: nn.Module, given: Size, gave: Size, code: Tensor) -> nn.Module | None:
    """One affine map from the code to what the layer was given; None: none suits.

    Of a linear layer a linear one; of a convolution the transposed one, before which what was pooled since is repeated.
    Where the code has neither form: a linear one between all numbers of both, if that is not too large.

    Args:
        layer: linear or convolution.
        given: shape of what it is given.
        gave: shape of what it gives.
        code: what the next layer is given.

    Example:
        >>> import torch
        >>> decoder_for(nn.Linear(4, 2), Size((8, 4)), Size((8, 2)), torch.zeros(8, 2))
        Linear(in_features=2, out_features=4, bias=True)
        >>> conv, pooled = nn.Conv2d(1, 6, 3, padding=1), torch.zeros(8, 6 * 4 * 4)
        >>> decoder_for(conv, Size((8, 1, 8, 8)), Size((8, 6, 8, 8)), pooled)(pooled).shape
        torch.Size([8, 1, 8, 8])
    """
    made: nn.Module | None = None
    if isinstance(layer, _ConvNd):
        places = spread(code.shape, gave)
        made = None if places is None else _Unconvolved(layer, given, gave, places)
    elif code.shape[:-1] == given[:-1]:
        made = nn.Linear(code.shape[-1], given[-1])
    if made is None:
        one, other = math.prod(code.shape[1:]), math.prod(given[1:])
        alike = code.shape[0] == given[0] and len(given) > 1
        made = _Flat(one, given) if alike and one * other <= _LARGEST else None
    return None if made is None else made.to(code.device, code.dtype)


def spread(code: Size, gave: Size) -> Size | None:
    """The shape that a code had before it was flattened: channels, and places on the grid; None: it has no such.

    Example:
        >>> spread(Size((8, 96)), Size((8, 6, 8, 8))), spread(Size((8, 6)), Size((8, 6, 8, 8)))
        (torch.Size([6, 4, 4]), torch.Size([6, 1, 1]))
    """
    if len(code) == len(gave):
        return Size(code[1:])
    channels, grid = gave[1], gave[2:]
    if len(code) != 2 or code[1] % channels:
        return None
    for pooled in range(1, max(grid) + 1):
        places = [max(1, side // pooled) for side in grid]
        if math.prod(places) * channels == code[1]:
            return Size((channels, *places))
    return None


class _Unconvolved(nn.Module):
    def __init__(self, layer: Any, given: Size, gave: Size, places: Size) -> None:
        super().__init__()
        self.places, self.gave, self.given = places, gave[2:], given[2:]
        kernel, stride, dilation = layer.kernel_size, layer.stride, layer.dilation
        padding = layer.padding
        if isinstance(padding, str):
            wide = [d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True)]
            padding = wide if padding == "same" else [0] * len(kernel)
        self.map = _TRANSPOSED[len(kernel)](
            places[0], given[1], kernel, stride, padding, dilation=dilation, output_padding=0
        )

    def forward(self, code: Tensor) -> Tensor:
        code = _fitted(code.reshape(len(code), *self.places), self.gave)
        return _fitted(self.map(code), self.given)


def _fitted(x: Tensor, grid: Sequence[int]) -> Tensor:
    return x if tuple(x.shape[2:]) == tuple(grid) else functional.interpolate(x, size=tuple(grid))


class _Flat(nn.Module):
    def __init__(self, code: int, given: Size) -> None:
        super().__init__()
        self.given, self.map = given[1:], nn.Linear(code, math.prod(given[1:]))

    def forward(self, code: Tensor) -> Tensor:
        return self.map(code.flatten(1)).reshape(len(code), *self.given)
