"""An optimizer as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lightning_gradwatch.remedies.surgery.containers import copied, inside, refilled
from lightning_gradwatch.remedies.surgery.kept_hooks import OPTIMIZER_HOOKS, KeptHooks

# Everything else of an optimizer's attributes belongs to it.
_NOT_OWN = ("state", "param_groups", *OPTIMIZER_HOOKS)


@dataclass
class KeptOptimizer:
    """One optimizer: its class, groups, state and hooks."""

    optimizer: Any
    kind: type
    own: dict[str, tuple[Any, Any]]  # attribute -> what it held, and what was in that
    groups: list[tuple[dict[str, Any], dict[str, tuple[Any, Any]]]]  # the group itself, and the same of it
    state: dict[Any, Any]
    hooks: KeptHooks

    @classmethod
    def of(cls, optimizer: Any) -> KeptOptimizer:
        """Look at an optimizer, and copy what may change."""
        own = {key: (value, copied(value)) for key, value in optimizer.__dict__.items() if key not in _NOT_OWN}
        groups = [(group, _group(group)) for group in optimizer.param_groups]
        state = {parameter: copied(values) for parameter, values in optimizer.state.items()}
        return cls(optimizer, type(optimizer), own, groups, state, KeptHooks(optimizer, OPTIMIZER_HOOKS))

    def restore(self) -> None:
        """Put everything back."""
        optimizer = self.optimizer
        optimizer.__class__ = self.kind
        for key in [key for key in optimizer.__dict__ if key not in _NOT_OWN and key not in self.own]:
            del optimizer.__dict__[key]
        for key, (held, values) in self.own.items():
            optimizer.__dict__[key] = _returned(held, values)
        optimizer.param_groups[:] = [group for group, _ in self.groups]
        for group, before in self.groups:
            group.clear()
            group.update({key: _returned(held, values) for key, (held, values) in before.items()})
        optimizer.state.clear()
        optimizer.state.update({parameter: copied(values) for parameter, values in self.state.items()})
        self.hooks.restore()


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    """What a group holds, and what was in that."""
    return {key: (value, inside(value) if key == "params" else copied(value)) for key, value in group.items()}


def _returned(held: Any, values: Any) -> Any:
    """A rate that is a tensor, and a list of parameters, stay the same objects: others hold on to them."""
    if isinstance(held, Tensor):
        held.detach().copy_(values)
        return held
    return refilled(held, values) if type(held) is list else copied(values)
