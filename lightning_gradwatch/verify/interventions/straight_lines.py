"""Activations replaced by straight lines of slope 1, whether they are modules or function calls."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lightning_gradwatch.verify.interventions.base import Change, Scene, in_backward, some

# Function -> its name in the autograd graph, and its value at 0, through which the line goes.
_LINES: dict[str, tuple[str, float]] = {
    "sigmoid": ("Sigmoid", 0.5),
    "tanh": ("Tanh", 0.0),
    "relu": ("Relu", 0.0),
    "relu6": ("Hardtanh", 0.0),
    "hardtanh": ("Hardtanh", 0.0),
    "hardsigmoid": ("Hardsigmoid", 0.5),
    "hardswish": ("Hardswish", 0.0),
    "leaky_relu": ("LeakyRelu", 0.0),
    "prelu": ("PreluKernel", 0.0),
    "elu": ("Elu", 0.0),
    "celu": ("Celu", 0.0),
    "selu": ("Elu", 0.0),
    "gelu": ("Gelu", 0.0),
    "silu": ("Silu", 0.0),
    "mish": ("Mish", 0.0),
    "softplus": ("Softplus", 0.6931),
    "log_sigmoid": ("LogSigmoid", -0.6931),
}


def straight_lines(scene: Scene) -> Change | None:
    """The activations that the ledger charges pass everything: what comes back is all that they took.

    The line has slope 1 whatever the largest slope of the activation is, so that a sigmoid's factor of 1/4 counts as
    the sigmoid's.
    """
    if not scene.acting:
        return None
    mode = _Lines(scene.acting)
    ledger = scene.ledger
    if ledger is not None and ledger.body:
        for name in ledger.body[0].modules[:1]:
            _module(scene, name).register_forward_hook(mode.ends)
        _module(scene, ledger.target_layer).register_forward_pre_hook(mode.begins)
    return Change(told=mode.told, around=mode)


def _module(scene: Scene, name: str) -> nn.Module:
    return scene.modules.get(name) or nn.Identity()


class _Lines(TorchFunctionMode):
    """While it is entered, these activations are lines."""

    def __init__(self, operations: frozenset[str]) -> None:
        super().__init__()
        self._operations, self._count = operations, 0
        self._is_on = True

    def begins(self, *_: Any) -> None:
        """The deepest layer runs."""
        self._is_on = True

    def ends(self, *_: Any) -> None:
        """The head has run: an output's sigmoid belongs to the loss, and is not on the way that is judged."""
        self._is_on = False

    def told(self) -> str:
        return f"{some(self._count, 'activation')} replaced by straight lines" if self._count else ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        operation, value = _LINES.get(name.rstrip("_"), ("", 0.0))
        given = args[0] if args else kwargs.get("input")
        again = in_backward()
        known = (self._is_on or again) and bool({operation, ""} & self._operations) and operation
        if not known or not isinstance(given, Tensor) or not given.requires_grad:
            return func(*args, **kwargs)
        self._count += not again
        is_in_place = name.endswith("_") or kwargs.get("inplace")
        return given.add_(value) if is_in_place and value else given if is_in_place else given + value
