"""Optimizers follow an edit: they let go of parameters that are gone, and adopt those that came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    now = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    known = {id(parameter) for parameter in before.values()}
    here = {id(parameter) for parameter in model.parameters()}
    gone = {id(parameter): name for name, parameter in before.items() if id(parameter) not in here}
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    homes = {id(parameter): group for group in groups for parameter in group["params"]}
    names = {id(parameter): name for name, parameter in before.items()}
    for name, parameter in now.items():
        if id(parameter) in known or id(parameter) in homes or not groups:
            continue
        group = _nearest(name, groups, names)
        group["params"].append(parameter)
        _sort(group, {id(p): place for place, p in enumerate(model.parameters())}, names, gone)
    for optimizer in optimizers:
        _let_go(optimizer, gone)


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


def _sort(group: dict[str, Any], places: Mapping[int, int], names: Mapping[int, str], gone: Mapping[int, str]) -> None:
    """In the order of the model, if those that were there before are in that order."""
    old = [places[id(p)] for p in group["params"] if id(p) in names and id(p) in places]
    if old == sorted(old):
        group["params"].sort(key=lambda p: places.get(id(p), -1 if id(p) in gone else len(places)))


def _let_go(optimizer: Any, gone: Mapping[int, str]) -> None:
    for group in optimizer.param_groups:
        lost = [p for p in group["params"] if id(p) in gone]
        group["params"][:] = [p for p in group["params"] if id(p) not in gone]
        for parameter in lost:
            optimizer.state.pop(parameter, None)
