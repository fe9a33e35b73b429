"""A network and its optimizers as they were, to be put back bit for bit."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lightning_gradwatch.anatomy.names import every_module

# What torch keeps of a module's parts.
_PARTS = ("_parameters", "_buffers", "_modules")
_HOOKS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_STEP_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
# Everything else of an optimizer's attributes belongs to it.
_NOT_OWN = ("state", "param_groups", *_STEP_HOOKS)


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
        self._modules = [_Module.of(module) for module in modules]
        tensors = {id(t): t for module in modules for t in _tensors(module)}
        self._tensors = [_Tensor.of(tensor) for tensor in tensors.values()]
        self._optimizers = [_Optimizer.of(optimizer) for optimizer in optimizers]
        self._random = _random_state()

    def settle(self) -> None:
        """The edit is done: from now on, hooks that others add or remove are theirs and stay as they are."""
        for kept in (*self._modules, *self._optimizers):
            kept.hooks.settle()

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back."""
        for kept in (*self._modules, *self._tensors, *self._optimizers):
            kept.restore()
        _set_random_state(self._random)


class _Hooks:
    """The registries of hooks of one object: what the edit added goes, what it removed comes back."""

    def __init__(self, owner: Any, names: Iterable[str]) -> None:
        self._registries = {name: owner.__dict__[name] for name in names if name in owner.__dict__}
        self._before = {name: dict(registry) for name, registry in self._registries.items()}
        self._added: dict[str, set[Any]] = {}

    def settle(self) -> None:
        self._added = {name: set(now) - set(self._before[name]) for name, now in self._registries.items()}
        self._before = {
            name: {key: hook for key, hook in before.items() if key not in self._registries[name]}
            for name, before in self._before.items()
        }

    def restore(self) -> None:
        for name, registry in self._registries.items():
            for key in self._added.get(name, ()):
                registry.pop(key, None)
            registry.update(self._before[name])


@dataclass
class _Module:
    """One module: its class, its parts, its hooks; of torch's own modules all attributes.

    A user's module has attributes that change while it is trained and are nobody's business.
    """

    module: nn.Module
    kind: type
    parts: dict[str, dict[str, Any]]
    own: dict[str, Any] | None
    transient: set[str]  # names of buffers that are not saved
    hooks: _Hooks

    @classmethod
    def of(cls, module: nn.Module) -> _Module:
        own = None
        if type(module).__module__.startswith("torch.nn."):
            own = {key: value for key, value in module.__dict__.items() if not key.startswith("_")}
        parts = {name: dict(module.__dict__[name]) for name in _PARTS}
        transient = set(module._non_persistent_buffers_set)
        return cls(module, type(module), parts, own, transient, _Hooks(module, _HOOKS))

    def restore(self) -> None:
        if type(self.module) is not self.kind:
            self.module.__class__ = self.kind
        for name, before in self.parts.items():
            now = self.module.__dict__[name]
            now.clear()
            now.update(before)
        self.module._non_persistent_buffers_set.clear()
        self.module._non_persistent_buffers_set.update(self.transient)
        if self.own is not None:
            for key in [key for key in self.module.__dict__ if not key.startswith("_") and key not in self.own]:
                del self.module.__dict__[key]
            self.module.__dict__.update(self.own)
        self.hooks.restore()


@dataclass
class _Tensor:
    """One parameter or buffer: its values, its gradient."""

    tensor: Tensor
    values: Tensor
    grad: Tensor | None
    requires_grad: bool

    @classmethod
    def of(cls, tensor: Tensor) -> _Tensor:
        grad = tensor.grad if tensor.is_leaf else None
        return cls(tensor, tensor.detach().clone(), None if grad is None else grad.clone(), tensor.requires_grad)

    def restore(self) -> None:
        tensor = self.tensor
        if tensor.shape == self.values.shape and tensor.dtype == self.values.dtype:
            tensor.detach().copy_(self.values)
        else:
            tensor.data = self.values.clone()
        if tensor.is_leaf:
            tensor.requires_grad_(self.requires_grad)
            tensor.grad = None if self.grad is None else self.grad.clone()


@dataclass
class _Optimizer:
    """One optimizer: its class, groups, state and hooks."""

    optimizer: Any
    kind: type
    own: dict[str, Any]
    groups: list[tuple[dict[str, Any], dict[str, Any]]]  # the group itself, and what was in it
    state: dict[Any, Any]
    hooks: _Hooks

    @classmethod
    def of(cls, optimizer: Any) -> _Optimizer:
        own = {key: _copied(value) for key, value in optimizer.__dict__.items() if key not in _NOT_OWN}
        groups = [(group, _group(group)) for group in optimizer.param_groups]
        state = {parameter: _copied(values) for parameter, values in optimizer.state.items()}
        return cls(optimizer, type(optimizer), own, groups, state, _Hooks(optimizer, _STEP_HOOKS))

    def restore(self) -> None:
        optimizer = self.optimizer
        optimizer.__class__ = self.kind
        for key in [key for key in optimizer.__dict__ if key not in _NOT_OWN and key not in self.own]:
            del optimizer.__dict__[key]
        for key, value in self.own.items():
            optimizer.__dict__[key] = _copied(value)
        optimizer.param_groups[:] = [group for group, _ in self.groups]
        for group, before in self.groups:
            _refill(group, before)
        optimizer.state.clear()
        optimizer.state.update({parameter: _copied(values) for parameter, values in self.state.items()})
        self.hooks.restore()


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if key == "params" else _copied(value) for key, value in group.items()}


def _refill(group: dict[str, Any], before: Mapping[str, Any]) -> None:
    """A rate that is a tensor stays the same tensor: fused optimizers and schedulers hold on to it."""
    now = dict(group)
    group.clear()
    for key, value in before.items():
        held = now.get(key)
        if isinstance(value, Tensor) and isinstance(held, Tensor) and held.shape == value.shape:
            held.detach().copy_(value)
            group[key] = held
        else:
            group[key] = list(value) if key == "params" else _copied(value)


def _copied(value: Any) -> Any:
    """A copy of settings and state: tensors cloned, containers anew, everything else as it is."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copied(item) for item in value)
    return copy.copy(value) if isinstance(value, dict) else value


def _tensors(module: nn.Module) -> list[Tensor]:
    found = [*module._parameters.values(), *module._buffers.values()]
    return [t for t in found if t is not None and not is_lazy(t)]


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
