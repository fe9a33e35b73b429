"""The hooks of a module or an optimizer as they were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Where torch keeps them.
MODULE_HOOKS = (
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
OPTIMIZER_HOOKS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


class KeptHooks:
    """The registries of hooks of one object: what the edit added goes, what it removed comes back."""

    def __init__(self, owner: Any, names: Iterable[str]) -> None:
        self._registries = {name: owner.__dict__[name] for name in names if name in owner.__dict__}
        self._before = {name: dict(registry) for name, registry in self._registries.items()}
        self._added: dict[str, set[Any]] = {}
        self._gone: dict[str, set[Any]] = {}

    def settle(self) -> None:
        """The edit is done: what comes now is not its own."""
        for name, now in self._registries.items():
            self._added[name] = set(now) - set(self._before[name])
            self._gone[name] = set(self._before[name]) - set(now)

    def restore(self) -> None:
        """In the order that they had, which is the order of their calls."""
        for name, registry in self._registries.items():
            now = {key: hook for key, hook in registry.items() if key not in self._added.get(name, ())}
            back = self._gone.get(name, ())
            old = {k: now.get(k, hook) for k, hook in self._before[name].items() if k in now or k in back}
            registry.clear()
            registry.update({**old, **now})
