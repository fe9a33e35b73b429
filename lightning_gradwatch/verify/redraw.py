"""A network's weights drawn anew, as far as it is known how they were drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gradwatch.anatomy import named_modules

# How much the size of two draws of one tensor may differ, beyond what few elements explain: Xavier's weights are 1.7
# times torch's default ones in a square layer, He's 2.4 times.
_ALIKE = 1.25


def redraw(model: nn.Module) -> tuple[tuple[str, ...], int]:
    """Draw the weights anew, in place, from torch's global generator.

    A layer's own ``reset_parameters`` is asked.  Where that gives weights of another size than the layer has, it was
    initialised in another way, which nobody remembers: its weights stay.  So does what is the same number throughout.

    Returns:
        The names of the layers whose random weights stayed, and how many layers have random weights.

    Example:
        >>> layers = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.LayerNorm(8))
        >>> _ = nn.init.normal_(layers[1].weight)
        >>> redraw(layers)
        (('1',), 2)
    """
    layers = [(name, module) for name, module in named_modules(model) if _own(module)]
    if _own(model):
        layers.append(("", model))
    drawn = [(name or type(model).__name__, _redrawn(module)) for name, module in layers]
    return tuple(name for name, anew in drawn if anew is False), sum(anew is not None for _, anew in drawn)


def _own(module: nn.Module) -> list[nn.Parameter]:
    return [*module.parameters(recurse=False)] or _computed_from(module)


def _computed_from(module: nn.Module) -> list[nn.Parameter]:
    """What a parametrized module (weight_norm) computes its weight from: a layer that cannot be drawn anew."""
    made = getattr(module, "parametrizations", None)
    return [*made.parameters()] if isinstance(made, nn.Module) else []


@torch.no_grad()
def _redrawn(module: nn.Module) -> bool | None:
    """Whether the module's random numbers are drawn anew; None: it has none."""
    own, reset = _own(module), _reset(module)
    before = [parameter.detach().clone() for parameter in own]
    if reset is not None:
        reset()
    pairs = [(parameter, old) for parameter, old in zip(own, before, strict=True) if not _is_constant(old)]
    is_drawn = _is_drawn([old for _, old in pairs], [parameter.detach() for parameter, _ in pairs])
    for parameter, old in zip(own, before, strict=True):
        if not is_drawn or _is_constant(old):
            parameter.copy_(old)
    return is_drawn if pairs else None


def _reset(module: nn.Module) -> Callable[[], Any] | None:
    # nn.MultiheadAttention has only the underscored one.
    found = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    return found if callable(found) else None


def _is_constant(tensor: Tensor) -> bool:
    return not tensor.numel() or bool((tensor == tensor.reshape(-1)[0]).all())


def _is_drawn(old: list[Tensor], new: list[Tensor]) -> bool:
    """Whether the new ones are other draws from what may be the distribution of the old ones."""
    if any(torch.equal(one, other) for one, other in zip(old, new, strict=True)):
        return False
    before, after = _size(old), _size(new)
    allowed = _ALIKE + 3 / math.sqrt(2 * max(1, sum(tensor.numel() for tensor in old)))
    return after > 0 and 1 / allowed < before / after < allowed


def _size(tensors: list[Tensor]) -> float:
    """The root of the mean square of all elements."""
    squares = sum(float(tensor.abs().double().square().sum()) for tensor in tensors)
    return math.sqrt(squares / max(1, sum(tensor.numel() for tensor in tensors)))
