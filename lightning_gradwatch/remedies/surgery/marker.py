"""The marker in a treated network's state, so that weights are never loaded into a network that computes otherwise.

A treated network's ``state_dict`` has one key more, which is a sentence.  Loaded into a network with the same treatment
it is taken out again; loaded into one without it, torch's own error says it: "Unexpected key(s) in state_dict:
lightning_gradwatch: these weights belong to a network treated with ReplaceActivation('relu') ...".

The same is what computes the same: the sentence holds only the arguments that ``Treatment.structure`` names, no seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_BEGINS = "lightning_gradwatch: these weights belong to a network treated with "

Spec = dict[str, Any]
Treated = tuple[str, Spec]  # what a treatment is known as, the same for all that do the same; and as data


class Marker:
    """Hooks on a treated network; one for all treatments of it."""

    def __init__(self) -> None:
        self.specs: list[Treated] = []
        self.treat: Callable[[list[Spec]], None] | None = None  # gives the network what weights to be loaded need

    def __getstate__(self) -> dict[str, Any]:
        """Copies do not treat anything."""
        return {"specs": list(self.specs), "treat": None}

    @property
    def key(self) -> str:
        """The sentence."""
        told = ", ".join(_names(self.specs))
        return f"{_BEGINS}{told}; give the new one the same, e.g. Trainer(callbacks=[{told}])"

    @property
    def value(self) -> Tensor:
        """The treatments as JSON, in a tensor: what checkpoints may hold."""
        told = json.dumps(self.specs).encode()
        return torch.tensor(list(told), dtype=torch.uint8, device="cpu")


def mark(model: nn.Module, told: str, spec: Spec) -> None:
    """Note a treatment in the network's state."""
    ready(model).specs.append((told, spec))


def ready(model: nn.Module) -> Marker:
    """The marker of a network, made where there is none: without treatments it does nothing."""
    marker = marker_of(model)
    if marker is None:
        marker = Marker()
        # The public ways to do it come with torch 2.5, we go back to 2.4.
        model._register_state_dict_hook(_Saves(marker))
        model._register_load_state_dict_pre_hook(_Loads(marker), with_module=True)
    return marker


def clear(model: nn.Module) -> None:
    """Take the hooks of a marker away that has no treatments."""
    marker = marker_of(model)
    if marker is not None and not marker.specs:
        for hooks in (model._state_dict_hooks, model._load_state_dict_pre_hooks):
            for key in [key for key, hook in hooks.items() if _marker_in(hook) is marker]:
                del hooks[key]


def unmark(model: nn.Module, told: str) -> None:
    """Take the last such note back."""
    marker = marker_of(model)
    if marker is not None:
        at = max((i for i, (name, _) in enumerate(marker.specs) if name == told), default=None)
        if at is not None:
            del marker.specs[at]


def marker_of(model: nn.Module) -> Marker | None:
    """The marker of a treated network."""
    return next((hook.marker for hook in model._state_dict_hooks.values() if isinstance(hook, _Saves)), None)


def treatments_in(state: Mapping[str, Any], prefix: str = "") -> tuple[str, list[Treated]]:
    """The key in a ``state_dict`` that tells of treatments, and these; "" and none where there is none.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> mark(model, "ReplaceActivation('relu')", {"remedy": "ReplaceActivation"})
        >>> treatments_in(model.state_dict())[1]
        [("ReplaceActivation('relu')", {'remedy': 'ReplaceActivation'})]
    """
    for key, value in state.items():
        if key.startswith(prefix + _BEGINS) and isinstance(value, Tensor):
            return key, _specs(value)
    return "", []


def _specs(value: Tensor) -> list[Treated]:
    try:
        found = json.loads(bytes(value.tolist()).decode())
        return [(str(told), dict(spec)) for told, spec in found]
    except (TypeError, ValueError):  # a damaged one
        return []


class _Saves:
    """A hook that copies and pickles with the network."""

    def __init__(self, marker: Marker) -> None:
        self.marker = marker

    def __call__(self, module: Any, state: dict[str, Any], prefix: str, metadata: Any) -> None:
        if self.marker.specs:
            state[prefix + self.marker.key] = self.marker.value


class _Loads:
    """The same, for loading: on one device or another, the marker is never loaded."""

    def __init__(self, marker: Marker) -> None:
        self.marker = marker

    def __call__(self, module: Any, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        _, wanted = treatments_in(state, prefix)
        known = len(self.marker.specs)
        if self.marker.treat is not None and _names(wanted[:known]) == _names(self.marker.specs):
            self.marker.treat([spec for _, spec in wanted[known:]])
        if self.marker.specs:  # a key that tells of other treatments stays, and is an unexpected one
            state.pop(prefix + self.marker.key, None)


def _names(treated: list[Treated]) -> list[str]:
    return [told for told, _ in treated]


def _marker_in(hook: Any) -> Marker | None:
    """The marker of one of our hooks; torch wraps those that are given the module."""
    return getattr(getattr(hook, "hook", hook), "marker", None)
