"""Another optimizer in place: the object stays, its class, settings and state are those of the other.

Whoever holds the optimizer (the trainer, schedulers, hooks, the user) holds the new one then.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import wraps
from types import MethodType
from typing import Any

import torch
from torch import nn, optim

KINDS: Mapping[str, Any] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "sgd": optim.SGD,
}
# Those that may be switched from: each works on parameter groups with a rate and per-element state of its own.
_KNOWN = (
    *KINDS.values(),
    *(optim.Adadelta, optim.Adagrad, optim.Adamax, optim.ASGD, optim.NAdam, optim.RAdam, optim.Rprop),
)
# Their steps are about as long as their rate, whatever the gradient: a rate of one suits another.
_ADAPTIVE = (optim.Adam, optim.AdamW, optim.RMSprop, optim.Adamax, optim.NAdam, optim.RAdam)
_RATES = {"adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "sgd": 1e-2}
_MOMENTUM = {"sgd": {"momentum": 0.9}}  # of Adam's first moment
# Switches that any of torch's optimizers may take; a group's own are carried over.
_SWITCHES = ("maximize", "foreach", "fused", "capturable", "differentiable")
# What a schedule that moves the momentum reads and writes in a group, whichever optimizer it is.
_MOVED = ("momentum", "betas")
# What every optimizer has, and keeps.
_KEPT = ("state", "param_groups", "defaults", "step")


def hindrance(optimizer: Any, model: nn.Module, to: str) -> str:
    """Why this optimizer cannot be switched, one sentence; "" where it can.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> hindrance(optim.LBFGS(model.parameters()), model, "adam")
        'LBFGS works in another way than parameter groups tell: make the other optimizer by hand.'
    """
    kind, target = type(optimizer), KINDS[to]
    if kind is target:
        return f"It is {target.__name__} already."
    if kind not in _KNOWN:
        return f"{kind.__name__} works in another way than parameter groups tell: make the other optimizer by hand."
    step = optimizer.__dict__.get("step")
    if step is not None and not hasattr(step, "_wrapped_by_lr_sched"):
        return f"The step of this {kind.__name__} was exchanged (compiled, for example), and calls the old one."
    if to != "sgd" and (sparse := _sparse(optimizer, model)):
        return f"{sparse} has sparse gradients, which {target.__name__} does not take: use SparseAdam for it."
    return ""


def _sparse(optimizer: Any, model: nn.Module) -> str:
    ids = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name, module in model.named_modules():
        if getattr(module, "sparse", False) is True and id(getattr(module, "weight", None)) in ids:
            return name or type(module).__name__
    return ""


def is_scheduled(optimizer: Any) -> bool:
    """Whether a schedule has its base rates from this optimizer: those leave their mark in the groups."""
    return any("initial_lr" in group for group in optimizer.param_groups)


def base_rate(optimizer: Any) -> float:
    """The largest rate of its groups; under a schedule the one that this goes out from, or goes up to."""
    return max(max(float(group.get(key, 0.0)) for key in _bases(group)) for group in optimizer.param_groups)


def _bases(group: Mapping[str, Any]) -> tuple[str, ...]:
    return ("max_lr", "initial_lr") if "initial_lr" in group else ("lr",)


def factor_for(optimizer: Any, to: str, lr: float | None) -> float:
    """What the rates of all groups are to be multiplied by, so that the largest one suits the other optimizer."""
    base = base_rate(optimizer)
    if lr is None and isinstance(optimizer, _ADAPTIVE) and issubclass(KINDS[to], _ADAPTIVE):
        return 1.0
    return (_RATES[to] if lr is None else lr) / base if base > 0 else 1.0


def turn(optimizer: Any, to: str, weight_decay: float | None) -> None:
    """Make it the other optimizer.  Rates, weight decay and switches of its groups stay as they are.

    Args:
        optimizer: one without ``hindrance``.
        to: what it becomes, a key of ``KINDS``.
        weight_decay: None: of each group as it is.
    """
    target, alike = KINDS[to], {type(optimizer), KINDS[to]} <= {optim.Adam, optim.AdamW}
    new = _made(target, optimizer, _MOMENTUM.get(to, {}))
    moved = any("max_momentum" in group for group in optimizer.param_groups)
    own = set(optimizer.defaults)
    for group, fresh in zip(optimizer.param_groups, new.param_groups, strict=True):
        kept = {key: value for key, value in group.items() if key not in own or (moved and key in _MOVED)}
        carried = {key: group[key] for key in ("params", "lr", "weight_decay", *_SWITCHES) if key in group}
        group.clear()
        group.update({**fresh, **kept, **{key: value for key, value in carried.items() if key in fresh}})
        known = group["weight_decay"] if "weight_decay" in carried else 0.0  # AdamW's default is none of the user's
        group["weight_decay"] = known if weight_decay is None else weight_decay
    if not alike:
        optimizer.state.clear()
    hooks = {key for key in new.__dict__ if key.endswith("_hooks")}
    for key in ("_step_supports_amp_scaling", "_need_device_dtype_check_for_fused"):  # of a fused one
        optimizer.__dict__.pop(key, None)
    optimizer.__class__ = target
    optimizer.__dict__.update({k: v for k, v in new.__dict__.items() if k not in hooks and k not in _KEPT})
    optimizer.defaults.clear()
    optimizer.defaults.update(new.defaults)
    if "step" in optimizer.__dict__:
        optimizer.step = _counted(optimizer)


def _made(target: Any, like: Any, extra: Mapping[str, Any]) -> optim.Optimizer:
    """A new one of that class over the same groups, to take settings from."""
    takes = inspect.signature(target).parameters
    groups = [{"params": group["params"], **_switches(group, takes)} for group in like.param_groups]
    return target(groups, lr=1.0, **_switches(like.param_groups[0], takes), **extra)


def _switches(group: Mapping[str, Any], takes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: group[key] for key in _SWITCHES if key in takes and group.get(key)}


def _counted(optimizer: Any) -> Any:
    """The step as schedulers want it, which warn where none came before theirs (``LRScheduler.__init__``)."""
    kind = type(optimizer)

    @wraps(kind.step)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        return kind.step(self, *args, **kwargs)

    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    return MethodType(step, optimizer)


def set_rates(optimizer: Any, factor: float) -> None:
    """Multiply the rates of all groups; a rate that is a tensor stays the same tensor."""
    for group in optimizer.param_groups:
        if torch.is_tensor(group["lr"]):
            group["lr"].detach().mul_(factor)
        else:
            group["lr"] = group["lr"] * factor
