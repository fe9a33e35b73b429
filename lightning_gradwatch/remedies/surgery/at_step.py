"""What acts on an optimizer at every step of it: attached as a hook, found again, detached.

A hook goes the way that torch gives it: it works in any loop, a copy of the optimizer is without it, and ``Keepsake``
takes it away again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch

from lightning_gradwatch._lightning import unwrapped
from lightning_gradwatch.remedies.rate_scale import with_closure
from lightning_gradwatch.remedies.surgery.edit import Edit


class AtStep:
    """Base of what acts at every step of one optimizer; subclasses write ``begins``, or ``moves``, or both.

    Args:
        told: the treatment that it belongs to, as people read it.
    """

    def __init__(self, told: str) -> None:
        self.told = told
        self._handles: list[Any] = []

    def attach(self, optimizer: Any) -> None:
        """Act at every step of this optimizer from now on."""
        self._handles.append(optimizer.register_step_pre_hook(self._step))

    def detach(self) -> None:
        """Let go of it; what is known is kept, for a checkpoint of the fit that has ended."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def begins(self, optimizer: Any) -> None:
        """``optimizer.step`` begins: in Lightning the gradients of this step are yet to come."""

    def moves(self, optimizer: Any) -> None:
        """The gradients are there, and the weights are about to move."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit must know."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""

    def follow(self, twins: Mapping[int, int]) -> None:
        """This is a copy, of an optimizer's copy: what is known by ``id`` of a parameter is now known by its twin's."""

    def __getstate__(self) -> dict[str, Any]:
        """Copies are attached to nothing."""
        return {**self.__dict__, "_handles": []}

    def _step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.begins(optimizer)
        if type(self).moves is AtStep.moves:
            return None
        wrapped = with_closure(args, kwargs, lambda closure: self._after(optimizer, closure))
        if wrapped is None:
            self._moves(optimizer)
        return wrapped

    def _after(self, optimizer: Any, closure: Callable[..., Any]) -> Callable[..., Any]:
        def gradients(*args: Any, **kwargs: Any) -> Any:
            result = closure(*args, **kwargs)
            self._moves(optimizer)
            return result

        return gradients

    @torch.no_grad()
    def _moves(self, optimizer: Any) -> None:
        self.moves(optimizer)


def running_on(optimizer: Any, told: str = "") -> list[AtStep]:
    """What acts at every step of this optimizer, in the order in which it was attached.

    Args:
        optimizer: a torch optimizer, or Lightning's wrapper of it.
        told: only what belongs to this treatment; "": all.
    """
    hooks = getattr(unwrapped(optimizer), "_optimizer_step_pre_hooks", {}).values()
    owners = dict.fromkeys(getattr(hook, "__self__", None) for hook in hooks)
    return [owner for owner in owners if isinstance(owner, AtStep) and told in ("", owner.told)]


def take_along(optimizer: Any, twin: Any, memo: dict[int, Any]) -> None:
    """Have the same act on a deep copy of an optimizer, which torch makes without any hooks.

    Args:
        optimizer: what was copied.
        twin: its copy.
        memo: of ``copy.deepcopy``, which knows the copy of each parameter.
    """
    own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    twins = {id(parameter): id(memo[id(parameter)]) for parameter in own if id(parameter) in memo}
    for acts in running_on(optimizer):
        other = copy.deepcopy(acts, memo)
        other.follow(twins)
        other.attach(twin)


def start(edit: Edit, optimizer: Any, acts: AtStep) -> bool:
    """Attach it as part of an edit, unless the same treatment acts there already; says whether it was."""
    if not hasattr(optimizer, "register_step_pre_hook"):
        edit.leave(f"{type(optimizer).__name__} is no torch optimizer: it has no step hooks to act through.")
        return False
    if running_on(optimizer, acts.told):
        edit.leave(f"{acts.told} is at work on {type(optimizer).__name__} already; twice is as good as once.")
        return False
    acts.attach(optimizer)
    edit.when_undone(acts.detach)
    return True


def chosen(edit: Edit) -> frozenset[int] | None:
    """``id`` of every parameter of the modules that were asked for; None: of all."""
    if edit.where is None:
        return None
    return frozenset(id(p) for _, module in edit.modules for p in module.parameters(recurse=False))


class Within:
    """Whether all parameters of a group lie in the modules that were asked for; asked for a group or an optimizer."""

    def __init__(self, ids: Collection[int]) -> None:
        self.ids = ids

    def __call__(self, group: dict[str, Any]) -> bool:
        """Asked anew at every step: loading a checkpoint exchanges the groups."""
        return all(id(parameter) in self.ids for parameter in group["params"])


def within(edit: Edit) -> Within | None:
    """The groups that were asked for; None: all."""
    ids = chosen(edit)
    return None if ids is None else Within(ids)


def groups_of(edit: Edit, optimizer: Any) -> list[dict[str, Any]]:
    """The groups of this optimizer that were asked for."""
    inside = within(edit)
    return [group for group in optimizer.param_groups if inside is None or inside(group)]


def label(edit: Edit, optimizer: Any) -> str:
    """What an optimizer is called: "SGD", "SGD 1" where there are several."""
    kind = type(optimizer).__name__
    at = next(i for i, one in enumerate(edit.optimizers) if one is optimizer)
    return kind if len(edit.optimizers) == 1 else f"{kind} {at}"
