"""Ways around the hidden layers of a network: where they may lead, and how they are laid."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from lightning_gradwatch.anatomy.names import every_module
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.layers import given, taken, why_fixed
from lightning_gradwatch.remedies.surgery.trace import Role, Step, behind, flow, origins
from lightning_gradwatch.remedies.surgery.way import Arrives, Leaves, Sweeps, Way

# How residual blocks call what leads around them, where their ``forward`` cannot be traced.
_SHORTCUTS = frozenset({"downsample", "shortcut", "skip", "skip_connection", "residual"})


@dataclass(frozen=True)
class Link:
    """Two layers of which the second gets what becomes of the first one's output, and nothing else."""

    start: Step
    end: Step
    why_not: str = ""  # why no way leads around the first


def add_ways(edit: Edit, scale: float | str) -> None:
    """Lay a way around every hidden layer that was asked for.

    Args:
        edit: the network.
        scale: of what a layer gives: a number, or "zero" for a learnable one that begins at zero.
    """
    if why := residual_already(edit.model):
        edit.leave(why)
        return
    names = {id(module): name for name, module in edit.modules}
    laid: list[tuple[Link, Way]] = []
    for link in links(edit.model):
        name = names.get(id(link.start.module))
        if name is None:
            continue
        if link.why_not:
            edit.leave(link.why_not)
            continue
        laid.append((link, _way(link, name, edit.name_of(cast(nn.Module, link.end.module)), scale)))
        kind = "a projection" if laid[-1][1].skip else "the input itself"
        edit.change(name, f"{name}: a way around it to {laid[-1][1].end}, {kind}.")
    if laid:
        _hang(edit.model, laid)


def residual_already(model: nn.Module) -> str:
    """How it is seen that a network has such ways, a sentence; "" where it has none."""
    for module in every_module(model):
        if any(isinstance(hook, Leaves) for hook in module._forward_pre_hooks.values()):
            return "AddResidual has treated this network already."
        if named := _SHORTCUTS & set(module._modules):
            return f"It is residual already: {type(module).__name__} has a {min(named)}."
    for step in flow(model):
        ends = origins(step) if step.adds else set[Step]()
        if any(one in behind(other) for one in ends for other in ends):
            return f"It is residual already: {step.name} adds what a layer gets to what comes of it."
    return ""


def links(model: nn.Module) -> list[Link]:
    """Every two neighbouring layers, in the order of the first."""
    steps = [step for step in flow(model) if step.role is Role.WEIGHTS]
    calls = Counter(id(step.module) for step in steps)
    found: list[Link] = []
    for end in steps:
        before = origins(end)
        start = next(iter(before)) if len(before) == 1 else None
        if start is not None and start.role is Role.WEIGHTS and _may_follow(start, end):
            found.append(Link(start, end, _why_not(start, end, calls)))
    branching = Counter(id(link.start) for link in found)
    return [link for link in found if branching[id(link.start)] == 1]


def projection(layer: Any, wanted: int) -> nn.Module:
    """A linear map of what a layer gets to another number of features, that keeps the size of each.

    Orthogonal (Saxe et al., 2014, section 3), times the root of how many there are more: the mean square of what comes
    out is that of what goes in.

    Args:
        layer: the linear or convolutional layer that it leads around.
        wanted: the number of features.
    """
    have = taken(layer)
    like = next(layer.parameters())
    weight = torch.empty(wanted, have)
    nn.init.orthogonal_(weight, gain=math.sqrt(max(1.0, wanted / have)))
    if isinstance(layer, nn.Linear):
        made: Any = nn.Linear(have, wanted, bias=False)
    else:
        made = getattr(nn, f"Conv{len(layer.kernel_size)}d")(have, wanted, 1, bias=False)
    with torch.no_grad():
        made.weight.copy_(weight.reshape(made.weight.shape))
    return made.to(like.device, like.dtype).train(layer.training)


def _may_follow(start: Step, end: Step) -> bool:
    """Where only the order of registration speaks for it, the features must, too."""
    return start.parent is None or end.parent is None or given(start.module) == taken(end.module)


def _why_not(start: Step, end: Step, calls: Counter[int]) -> str:
    one, other = cast(Any, start.module), cast(Any, end.module)
    for step in (start, end):
        if calls[id(step.module)] > 1:
            return f"{step.name} is used {calls[id(step.module)]} times: a way around would lead to itself."
    if why := why_fixed(start.name, one) or why_fixed(end.name, other):
        return why
    kinds = [len(layer.kernel_size) if isinstance(layer, _ConvNd) else 0 for layer in (one, other)]
    if kinds[0] != kinds[1]:
        return f"No way leads around {start.name}: {end.name} behind it works on another kind of shape."
    if isinstance(one, _ConvTransposeNd):
        return f"No way leads around {start.name}, which enlarges what it gets."
    return ""


def _way(link: Link, name: str, end: str, scale: float | str) -> Way:
    """One way, and what it needs in its layer."""
    layer, behind_it = cast(Any, link.start.module), cast(Any, link.end.module)
    skip = ""
    have, wanted = taken(layer), taken(behind_it)
    if have != wanted:
        skip = _free(layer, "skip")
        layer.add_module(skip, projection(layer, wanted))
    if scale != "zero":
        return Way(name, end, skip, scale)
    learned = _free(layer, "skip_scale")
    like = next(layer.parameters())
    layer.register_parameter(learned, nn.Parameter(torch.zeros((), device=like.device, dtype=like.dtype)))
    return Way(name, end, skip, learned)


def _free(layer: nn.Module, name: str) -> str:
    return next(f"{name}{number}" for number in ("", *range(1, 99)) if not hasattr(layer, f"{name}{number}"))


def _hang(model: nn.Module, laid: Sequence[tuple[Link, Way]]) -> None:
    # A layer first gets what is added to its input: of that sum the next way begins.
    for link, way in laid:
        cast(nn.Module, link.end.module).register_forward_pre_hook(Arrives(way))
    for link, way in laid:
        cast(nn.Module, link.start.module).register_forward_pre_hook(Leaves(way))
    holder = _common(model, [step.name for link, _ in laid for step in (link.start, link.end)])
    holder.register_forward_hook(Sweeps([way for _, way in laid]), always_call=True)


def _common(model: nn.Module, names: Sequence[str]) -> nn.Module:
    """The smallest module that holds all of these and is called itself."""
    holders = [name.split(".")[:-1] for name in names]
    agree = itertools.takewhile(lambda words: len(set(words)) == 1, zip(*holders, strict=False))
    shared = [words[0] for words in agree]
    while shared and isinstance(model.get_submodule(".".join(shared)), (nn.ModuleList, nn.ModuleDict)):
        shared = shared[:-1]
    return model.get_submodule(".".join(shared))
