"""What a layer takes and gives, and why nothing can be hung on some."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy


def why_fixed(name: str, layer: nn.Module) -> str:
    """Why a layer is left as it is, one sentence; "" where it need not be.

    Example:
        >>> why_fixed("head", nn.LazyLinear(2))
        'head has no weights yet (lazy): run the network once before.'
        >>> why_fixed("head", nn.Linear(2, 2))
        ''
    """
    parameters = list(layer.parameters())
    if any(is_lazy(parameter) for parameter in parameters):
        return f"{name} has no weights yet (lazy): run the network once before."
    if type(layer).__module__.startswith("torch.ao."):
        return f"{name} is quantised."
    if not any(parameter.requires_grad for parameter in parameters):
        return f"{name} is frozen."
    return ""


def taken(layer: Any) -> int:
    """The features that a linear or convolutional layer gets."""
    return int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)


def given(layer: Any) -> int:
    """The features that it gives."""
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)
