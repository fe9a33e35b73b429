"""Which units are dead and how flat activations are, seen beneath autograd: modules and plain functions alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Slope of an activation over its largest possible slope, from its output.
_SLOPES = {
    "sigmoid": lambda y: 4 * y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "hardtanh": lambda y: ((y > -1) & (y < 1)).double(),
    "hardsigmoid": lambda y: ((y > 0) & (y < 1)).double(),
    # Each weight of a softmax by the logistic rule; over a row they can sum up to 1 at most.
    "_softmax": lambda y: 1 - y.amax(-1),
}
_RECTIFIERS = ("relu", "relu6", "threshold")


class Activity(TorchDispatchMode):
    """Sees every activation function, module or not, and whose forward it ran in."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = [""]
        self.feeder = ""  # the last module with weights that was called: an activation acts on what it says
        self.calls: dict[str, int] = {}  # in this forward pass
        self.slopes: dict[str, list[float]] = {}
        self.alive: dict[str, torch.Tensor] = {}

    def enter(self, name: str, layer: Any) -> None:
        """A module's forward begins."""
        self.stack.append(name)
        if any(True for _ in layer.parameters(recurse=False)):
            self.feeder = name

    def leave(self) -> None:
        """A module's forward ends."""
        self.stack.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.__name__.split(".")[0].rstrip("_") if func.__name__ != "_softmax.default" else "_softmax"
        if name in _RECTIFIERS or name in _SLOPES:
            place = self.stack[-1]
            self.calls[place] = number = self.calls.get(place, -1) + 1
            # A rectifier is told apart by its calls; of a gate that is called every time step the mean counts.
            key = f"{place}|{self.feeder}|{name}|{number if name in _RECTIFIERS else 0}"
            if name in _SLOPES:
                self.slopes.setdefault(key, []).append(float(_SLOPES[name](out.double()).mean()))
            elif out.dim() > 1:
                fired = _fired(out)
                self.alive[key] = fired | self.alive[key] if key in self.alive else fired
        return out


def _fired(out: torch.Tensor) -> torch.Tensor:
    """Which units are above zero anywhere: channels of pictures, features of vectors and of sequences."""
    return (out > 0).flatten(0, 1).any(0) if out.dim() == 3 else (out > 0).transpose(0, 1).flatten(1).any(1)


def activity(module: Any, batches: Iterable[Any], forward: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """Share of dead units of every rectifier and mean slope of every saturating activation, over some batches.

    Keys are "module it ran in|layer whose answer it takes|function|number of its call".
    """
    mode = Activity()
    handles = []
    for name, layer in module.named_modules():
        handles.append(layer.register_forward_pre_hook(lambda m, a, name=name: mode.enter(name, m)))
        handles.append(layer.register_forward_hook(lambda m, a, o: mode.leave(), always_call=True))
    with torch.no_grad(), mode:
        for batch in batches:
            mode.calls = {}
            forward(module, batch)
    for handle in handles:
        handle.remove()
    dead = {key: 1 - float(alive.double().mean()) for key, alive in mode.alive.items()}
    return {"dead": dead, "slope": {key: sum(s) / len(s) for key, s in mode.slopes.items()}}
