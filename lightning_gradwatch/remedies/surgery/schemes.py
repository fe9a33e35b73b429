"""How weights are drawn: the spread of each scheme, and what of a layer it is drawn for."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.modules import conv

# He's factor holds for them as for a ReLU, which they are for inputs that are not small.
_LIKE_RELU = frozenset(
    {"relu", "relu6", "rrelu", "threshold", "elu", "celu", "gelu", "silu", "mish", "hardswish", "softplus"}
)
_LEAKY = frozenset({"leaky_relu", "prelu"})
SCHEMES = ("xavier", "he", "lecun", "orthogonal")


def scheme_for(kind: str) -> str:
    """The scheme for a layer by the activation that follows it; "" is none.

    Example:
        >>> [scheme_for(kind) for kind in ("relu", "tanh", "selu", "")]
        ['he', 'xavier', 'lecun', 'xavier']
    """
    if kind == "selu":
        return "lecun"
    return "he" if kind in _LIKE_RELU | _LEAKY else "xavier"


def gain_for(scheme: str, kind: str, slope: float = 0.01) -> float:
    """The factor on the scheme's spread.

    He et al. (2015), equations 10 and 14: sqrt(2 / (1 + slope^2)) where a rectifier follows, since it halves the mean
    square (a leaky one takes less).  For "orthogonal" the same; for the others, and for "orthogonal" elsewhere, 1.

    Example:
        >>> round(gain_for("he", "relu"), 3), gain_for("he", "leaky_relu", slope=1.0), gain_for("xavier", "tanh")
        (1.414, 1.0, 1.0)
    """
    if scheme not in ("he", "orthogonal"):
        return 1.0
    if kind in _LEAKY:
        return nn.init.calculate_gain("leaky_relu", slope)
    return nn.init.calculate_gain("relu") if kind in _LIKE_RELU or scheme == "he" else 1.0


def fans(module: nn.Module, weight: Tensor) -> tuple[float, float]:
    """How many products one output sums up, and how many outputs one input feeds.

    He et al. (2015), section 2.2.  A transposed convolution swaps the two; a stride thins out what one input of a
    convolution feeds, and what one output of a transposed one sums up; groups divide both.

    Example:
        >>> layer = nn.ConvTranspose2d(8, 4, kernel_size=4, stride=2)
        >>> fans(layer, layer.weight)
        (32.0, 64.0)
    """
    kernel = math.prod(weight.shape[2:])
    if not isinstance(module, conv._ConvNd):
        return float(weight.shape[1] * kernel), float(weight.shape[0] * kernel)
    into = module.in_channels // module.groups * kernel
    out = module.out_channels // module.groups * kernel
    thinned = math.prod(module.stride)
    if isinstance(module, conv._ConvTransposeNd):
        return max(1.0, into / thinned), float(out)
    return float(into), max(1.0, out / thinned)


def spread(scheme: str, fan_in: float, fan_out: float, gain: float = 1.0) -> float:
    """The standard deviation of a scheme's weights.

    He et al. (2015), equation 10: gain / sqrt(fan_in), gain sqrt(2).  Glorot & Bengio (2010), equation 12:
    gain * sqrt(2 / (fan_in + fan_out)).  LeCun et al. (1998), section 4.6: gain / sqrt(fan_in).

    Example:
        >>> spread("he", 50, 50, math.sqrt(2)), spread("xavier", 50, 50), spread("lecun", 25, 50)
        (0.2, 0.1414213562373095, 0.2)
    """
    return gain * math.sqrt(2 / (fan_in + fan_out)) if scheme == "xavier" else gain / math.sqrt(fan_in)


@torch.no_grad()
def drawn(like: Tensor, scheme: str, gain: float, fan: tuple[float, float], *, swapped: bool = False) -> Tensor:
    """New weights, normally distributed; for "orthogonal" with orthonormal rows or columns times ``gain``.

    Args:
        like: the weights that go: shape, type and device.
        scheme: one of ``SCHEMES``.
        gain: factor on the spread.
        fan: what ``fans`` says.
        swapped: whether the second dimension counts the outputs, as in transposed convolutions.
    """
    # In float32 on the CPU: the same numbers on every device.
    weight = torch.empty(like.shape, dtype=torch.promote_types(like.dtype, torch.float32))
    if scheme == "orthogonal":
        view = weight.transpose(0, 1).contiguous() if swapped else weight
        nn.init.orthogonal_(view, gain)
        weight = view.transpose(0, 1) if swapped else view
    else:
        nn.init.normal_(weight, 0.0, spread(scheme, *fan, gain))
    return weight.to(like)
