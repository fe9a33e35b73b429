"""A network and its optimizers as they were, to be put back bit for bit."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lightning_gradwatch.anatomy.names import every_module
from lightning_gradwatch.remedies.surgery.containers import inside, once, refilled, same
from lightning_gradwatch.remedies.surgery.kept_hooks import MODULE_HOOKS, KeptHooks
from lightning_gradwatch.remedies.surgery.kept_optimizer import KeptOptimizer

# What torch keeps of a module's parts.
_PARTS = ("_parameters", "_buffers", "_modules")
# Of a module: what others change as they like.
_NOT_KEPT = (
    "_is_full_backward_hook",
    "_compiled_call_impl",
    "_non_persistent_buffers_set",
    *_PARTS,
    *MODULE_HOOKS,
)
_ABSENT: Final = object()


class Keepsake:
    """All that a treatment may change, as it was: modules, tensors, gradients, hooks, optimizers, random numbers.

    Objects keep their identity: a restored parameter is the same object with its old values, so that whoever holds it
    (an optimizer, a scheduler, the user) holds the right one.  Costs the memory of one copy of both.

    Args:
        model: the network.
        optimizers: torch optimizers of its parameters.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid())
        >>> kept, weight = Keepsake(model), model[0].weight.clone()
        >>> model[1] = nn.ReLU()
        >>> _ = nn.init.zeros_(model[0].weight)
        >>> kept.settle()
        >>> kept.restore()
        >>> model[1], torch.equal(model[0].weight, weight)
        (Sigmoid(), True)
    """

    def __init__(self, model: nn.Module, optimizers: Iterable[Any] = ()) -> None:
        modules = every_module(model)
        self._model, self._training = model, model.training
        # TorchScript cannot be edited, but its optimizers can.
        self._modules = [_Module.of(module) for module in modules if not isinstance(module, torch.jit.ScriptModule)]
        tensors = {id(t): t for module in modules for t in _tensors(module)}
        self._tensors = [_Tensor.of(tensor) for tensor in tensors.values()]
        self._optimizers = [KeptOptimizer.of(optimizer) for optimizer in optimizers]
        self._random = _random_state()

    def settle(self) -> None:
        """The edit is done: from now on, hooks that others add or remove are theirs and stay as they are."""
        for kept in (*self._modules, *self._tensors):
            kept.settle()
        for kept in self._optimizers:
            kept.hooks.settle()

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back."""
        here = set(map(id, every_module(self._model)))
        for kept in (*self._modules, *self._tensors, *self._optimizers):
            kept.restore()
        if self._model.training is not self._training:
            self._follow(here)
        _set_random_state(self._random)

    def _follow(self, here: set[int]) -> None:
        """Modules that were away take the mode that the network has by now, if they had the same as it before."""
        for kept in self._modules:
            if id(kept.module) not in here and kept.module.training is self._training:
                kept.module.training = self._model.training


@dataclass
class _Module:
    """One module: its class, its parts, its hooks, and those of its attributes that the edit changes.

    A user's module has attributes that change while it is trained and are nobody's business.
    """

    module: nn.Module
    kind: type
    parts: dict[str, dict[str, Any]]
    own: dict[str, tuple[Any, Any]]  # attribute -> what it held, and what was in it
    transient: set[str]  # names of buffers that are not saved
    lazy: bool  # its first forward makes its parameters, and changes its class
    hooks: KeptHooks

    @classmethod
    def of(cls, module: nn.Module) -> _Module:
        own = {key: (value, inside(value)) for key, value in module.__dict__.items() if key not in _NOT_KEPT}
        parts = {name: dict(module.__dict__[name]) for name in _PARTS}
        transient = set(module._non_persistent_buffers_set)
        return cls(module, type(module), parts, own, transient, _is_lazy(module), KeptHooks(module, MODULE_HOOKS))

    def settle(self) -> None:
        now = {key: value for key, value in self.module.__dict__.items() if key not in _NOT_KEPT}
        added = {key: (_ABSENT, None) for key in now if key not in self.own}
        changed = {k: (v, was) for k, (v, was) in self.own.items() if now.get(k, _ABSENT) is not v or not same(v, was)}
        self.own = {**added, **changed}
        self.hooks.settle()

    def restore(self) -> None:
        built = self.lazy and not _is_lazy(self.module)  # by a forward since then: it is what it became
        if type(self.module) is not self.kind and not built:
            self.module.__class__ = self.kind
        for name, before in self.parts.items():
            refilled(self.module.__dict__[name], before)
        refilled(self.module._non_persistent_buffers_set, self.transient)
        for key, (value, held) in self.own.items():
            if value is _ABSENT:
                self.module.__dict__.pop(key, None)
            else:
                self.module.__dict__[key] = refilled(value, held)
        self.hooks.restore()


@dataclass
class _Tensor:
    """One parameter or buffer: its values, its gradient, its hooks."""

    tensor: Tensor
    values: Tensor
    grad: Tensor | None
    requires_grad: bool
    hooks: set[Any]  # before the edit; those that it added, once it is done

    @classmethod
    def of(cls, tensor: Tensor) -> _Tensor:
        grad = tensor.grad if tensor.is_leaf else None
        copied = None if grad is None else grad.clone()
        return cls(tensor, tensor.detach().clone(), copied, tensor.requires_grad, _hooks(tensor))

    def settle(self) -> None:
        self.hooks = _hooks(self.tensor) - self.hooks

    def restore(self) -> None:
        tensor, values = self.tensor, self.values
        for registry in _registries(tensor):
            for key in self.hooks & registry.keys():
                del registry[key]
        if tensor.is_meta or values.is_meta:  # there are no values to bring back, or no place for them
            return
        with torch.inference_mode(tensor.is_inference()):
            if tensor.shape == values.shape and tensor.dtype == values.dtype:
                once(tensor.detach()).copy_(once(values, like=tensor))
            else:
                tensor.data = values.clone()
        if tensor.is_leaf and not tensor.is_inference():
            tensor.requires_grad_(self.requires_grad)
            tensor.grad = None if self.grad is None else self.grad.clone()


def _registries(tensor: Tensor) -> list[dict[Any, Any]]:
    """Where torch keeps the hooks of a tensor; it has none where there are none."""
    names = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return [registry for name in names if (registry := getattr(tensor, name, None)) is not None]


def _hooks(tensor: Tensor) -> set[Any]:
    return {key for registry in _registries(tensor) for key in registry}


def _tensors(module: nn.Module) -> list[Tensor]:
    return [t for t in _own(module) if not is_lazy(t)]


def _is_lazy(module: nn.Module) -> bool:
    return any(map(is_lazy, _own(module)))


def _own(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(recurse=False), *module.buffers(recurse=False)]


def _random_state() -> tuple[Any, ...]:
    numpy = sys.modules.get("numpy")
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    return random.getstate(), numpy.random.get_state() if numpy else None, torch.get_rng_state(), devices


def _set_random_state(state: tuple[Any, ...]) -> None:
    python, own, torchs, devices = state
    random.setstate(python)
    if own is not None:
        sys.modules["numpy"].random.set_state(own)
    torch.set_rng_state(torchs)
    if devices:
        torch.cuda.set_rng_state_all(devices)
