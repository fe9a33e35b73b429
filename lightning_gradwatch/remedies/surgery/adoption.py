"""Optimizers follow an edit: they let go of parameters that are gone, and adopt those that came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from torch import nn


def adopt(model: nn.Module, before: Mapping[str, nn.Parameter], optimizers: Iterable[Any]) -> None:
    """Bring the optimizers of a network up to date after an edit.

    A new parameter joins the group that holds most of its nearest relatives (the parameters of the deepest module that
    they have in common), at the place that ``model.parameters()`` gives it: where the optimizer is made anew from the
    treated network, its saved state finds the same order.  State of parameters that are gone is dropped.

    Args:
        model: the network after the edit.
        before: its parameters by name before it.
        optimizers: torch optimizers.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.PReLU(), nn.Linear(2, 2))
        >>> optimizer, before = torch.optim.SGD(model[0].parameters(), lr=1.0), dict(model[0].named_parameters("0"))
        >>> adopt(model, before, [optimizer])
        >>> [tuple(p.shape) for p in optimizer.param_groups[0]["params"]]
        [(2, 2), (2,), (1,), (2, 2), (2,)]
    """
    optimizers = list(optimizers)
    known = {id(parameter): name for name, parameter in before.items()}
    places = {id(parameter): place for place, parameter in enumerate(model.parameters())}
    gone = known.keys() - places.keys()
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    held = {id(parameter) for group in groups for parameter in group["params"]}
    new = [(name, p) for name, p in model.named_parameters() if p.requires_grad and id(p) not in known.keys() | held]
    were = [_ids(optimizer) for optimizer in optimizers]
    for name, parameter in new if groups else ():
        group = _nearest(name, groups, known)
        _rewrite(group, _sorted([*_members(group), (parameter, name)], places, known))
    for optimizer, was in zip(optimizers, were, strict=True):
        _let_go(optimizer, gone)
        if _ids(optimizer) != was:
            _forget_flat(optimizer)


def _nearest(name: str, groups: list[dict[str, Any]], names: Mapping[int, str]) -> dict[str, Any]:
    """The group with most parameters among the closest relatives; of several the first."""

    def closeness(group: dict[str, Any]) -> tuple[int, int]:
        shared = [_shared(name, names[id(p)]) for p in group["params"] if id(p) in names]
        closest = max(shared, default=-1)
        return closest, shared.count(closest)

    return max(groups, key=closeness)


def _shared(one: str, other: str) -> int:
    """How many words of two names agree from the left."""
    pairs = zip(one.split("."), other.split("."), strict=False)
    return next((depth for depth, (a, b) in enumerate(pairs) if a != b), min(one.count("."), other.count(".")) + 1)


def _members(group: Mapping[str, Any]) -> list[tuple[nn.Parameter, str]]:
    """The parameters of a group with the names that it has for them; "" where it has none."""
    return list(zip(group["params"], group.get("param_names") or [""] * len(group["params"]), strict=True))


def _rewrite(group: dict[str, Any], members: list[tuple[nn.Parameter, str]]) -> None:
    """In the same lists: some optimizers hold on to them."""
    group["params"][:] = [parameter for parameter, _ in members]
    if group.get("param_names"):
        group["param_names"][:] = [name for _, name in members]


def _sorted(
    members: list[tuple[nn.Parameter, str]], places: Mapping[int, int], known: Mapping[int, str]
) -> list[tuple[nn.Parameter, str]]:
    """In the order of the model, if those that were there before are in that order."""
    old = [places[id(p)] for p, _ in members if id(p) in known and id(p) in places]
    if old != sorted(old):
        return members
    return sorted(members, key=lambda member: places.get(id(member[0]), -1))


def _let_go(optimizer: Any, gone: Set[int]) -> None:
    for group in optimizer.param_groups:
        lost = [p for p in group["params"] if id(p) in gone]
        if lost:
            _rewrite(group, [member for member in _members(group) if id(member[0]) not in gone])
        for parameter in lost:
            optimizer.state.pop(parameter, None)


def _ids(optimizer: Any) -> tuple[int, ...]:
    return tuple(id(p) for group in optimizer.param_groups for p in group["params"])


def _forget_flat(optimizer: Any) -> None:
    """What LBFGS remembers is one long vector of all parameters: it begins anew."""
    if hasattr(optimizer, "_numel_cache"):
        optimizer._numel_cache = None
        optimizer.state.clear()
