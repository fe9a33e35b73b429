"""Which layers of a network are drawn anew, by which scheme, and what else follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import distributed, nn

from lightning_gradwatch.remedies.surgery import drawing
from lightning_gradwatch.remedies.surgery.activations import slope_of
from lightning_gradwatch.remedies.surgery.drawing import Draw, family
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.flow import Flow
from lightning_gradwatch.remedies.surgery.ground import has_company
from lightning_gradwatch.remedies.surgery.lsuv import equalise
from lightning_gradwatch.remedies.surgery.reading import read
from lightning_gradwatch.remedies.surgery.running import first_batch, forward, unseen
from lightning_gradwatch.remedies.surgery.saying import listed
from lightning_gradwatch.remedies.surgery.schemes import gain_for, scheme_for

_TITLES = {"he": "He", "xavier": "Xavier", "lecun": "LeCun", "orthogonal": "orthogonal"}
# A smaller matrix may have been learnt without showing it.
_SMALL = 32

Layers = list[tuple[str, nn.Module]]


def initialize(edit: Edit, scheme: str, gain: float | None, keep_trained: bool) -> None:
    """Draw the weights of a network anew.

    Args:
        edit: the network.
        scheme: "auto", "lsuv", or one of ``schemes.SCHEMES``.
        gain: on the spread; None: the scheme's own.
        keep_trained: leave layers that show that they were learnt.
    """
    batch, why = _batch(edit) if scheme == "lsuv" else (None, "")
    if why:
        edit.leave(f"Nothing is scaled by data ({why}): the weights are drawn by what follows each layer.")
        scheme, gain = "auto", None
    layers, flow = chosen(edit, keep_trained), read(edit.model)
    seen = _kept(edit, layers)
    changed: list[nn.Parameter] = []
    said: dict[str, list[str]] = {}
    for name, module in layers:
        kind, slope = behind(flow, module)
        how = _how(scheme, gain, family(module), kind, slope)
        parameters = _drawn(edit, name, module, how, seen)
        if parameters is not None:
            edit.change(name)
            said.setdefault(_sentence(family(module), how.scheme, kind), []).append(name)
            changed += parameters
    edit.did += [f"{listed(names)}: {sentence}" for sentence, names in said.items()]
    if scheme == "lsuv" and changed:
        _by_data(edit, [(n, m) for n, m in layers if n in edit.changed and family(m) == "dense"], gain, batch)
        _same_everywhere(changed)
    for optimizer in edit.optimizers:
        for parameter in changed:  # momentum of weights that are gone
            optimizer.state.pop(parameter, None)


def chosen(edit: Edit, keep_trained: bool) -> Layers:
    """The layers to draw; of the others it is said why they stay."""
    layers = [(name or type(module).__name__, module) for name, module in edit.modules if family(module)]
    stay: dict[str, list[str]] = {}
    ours: Layers = []
    for name, module in layers:
        if why := drawing.hindrance(module):
            stay.setdefault(why, []).append(name)
        elif family(module) != "norm" or edit.where is not None or drawing.is_spoilt(module):
            ours.append((name, module))
    ours = _without_embeddings(edit, _without_zeros(edit, ours, stay))
    ours = _without_learnt(ours, stay) if keep_trained else ours
    for why, names in stay.items():
        edit.leave(f"{listed(names)} {'stays' if len(names) == 1 else 'stay'}: {why}.")
    return ours


def _without_zeros(edit: Edit, layers: Layers, stay: dict[str, list[str]]) -> Layers:
    weighted = [(name, module) for name, module in layers if family(module) not in ("norm", "embedding")]
    zeros = [name for name, module in weighted if drawing.is_zero(module)]
    if edit.where is not None or not zeros or len(zeros) == len(weighted):
        return layers
    stay["all zero, which a residual branch or a head begins with on purpose"] = zeros
    return [(name, module) for name, module in layers if name not in zeros]


def _without_learnt(layers: Layers, stay: dict[str, list[str]]) -> Layers:
    """Without those that were learnt; where most were, without the small ones either, of which it cannot be told."""
    sound = [(n, m) for n, m in layers if family(m) != "norm" and not drawing.is_spoilt(m)]
    learnt = {name for name, module in sound if drawing.was_learnt(module)}
    large = {name for name, module in sound if min(_shape(module)) >= _SMALL}
    if large and len(learnt & large) > len(large) / 2:
        learnt |= {name for name, module in sound if name not in large}
    if learnt:
        kept = [name for name, _ in layers if name in learnt]
        stay["learnt, not drawn (keep_trained=False draws anew all the same)"] = kept
    return [(name, module) for name, module in layers if name not in learnt]


def _without_embeddings(edit: Edit, layers: Layers) -> Layers:
    """An embedding of a usual size gains nothing by another draw."""
    return [
        (name, module)
        for name, module in layers
        if family(module) != "embedding" or edit.where is not None or drawing.is_off_scale(module)
    ]


def _shape(module: nn.Module) -> tuple[int, int]:
    weight = max(drawing.weights(module).values(), key=torch.numel)
    return weight.shape[0], weight[0].numel()


def _kept(edit: Edit, layers: Layers) -> set[int]:
    """``id`` of the weights of embeddings that stay: a layer that is tied to one keeps its weight, too."""
    drawn = {id(module) for _, module in layers}
    stay = [module for _, module in edit.modules if family(module) == "embedding" and id(module) not in drawn]
    return {id(parameter) for module in stay for parameter in drawing.sources(module)}


def behind(flow: Flow, module: nn.Module) -> tuple[str, float]:
    """The activation that follows a layer ("": none does) and its negative slope."""
    if isinstance(module, (nn.RNN, nn.RNNCell)):
        return module.nonlinearity, 0.0
    call = flow.activation_after(module)
    return ("", 0.0) if call is None else (call.kind, slope_of(call.module))


def _how(scheme: str, gain: float | None, of: str, kind: str, slope: float) -> Draw:
    if scheme == "lsuv":
        scheme = "orthogonal" if of == "dense" else "auto"
        gain = None
    if scheme == "auto":
        scheme = scheme_for(kind)
    return Draw(scheme, gain_for(scheme, kind, slope) if gain is None else gain)


def _sentence(of: str, scheme: str, kind: str) -> str:
    if of == "norm":
        return "weights 1, biases 0."
    if of == "embedding":
        return "drawn with a standard deviation of 1."
    told = f"drawn by {_TITLES[scheme]}" + (f" for the {kind} that follows" if kind and of == "dense" else "")
    return told + (", from step to step orthogonal, biases 0." if of == "recurrent" else ", biases 0.")


def _drawn(edit: Edit, name: str, module: nn.Module, how: Draw, seen: set[int]) -> list[nn.Parameter] | None:
    """Draw a layer; None: nothing is changed."""
    try:
        changed = drawing.draw(module, how, seen)
    except (NotImplementedError, RuntimeError, ValueError) as error:
        edit.leave(f"{name} stays: its parametrization takes no new weight ({type(error).__name__}).")
        return None
    if isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats:
        module.reset_running_stats()
        return changed
    return changed or None


def _batch(edit: Edit) -> tuple[Any, str]:
    """A batch on which the network can be run here, and why there is none."""
    try:
        batch = first_batch(edit.batches)
        with unseen(edit.model):
            forward(edit.model, batch)
    except Exception as error:  # whatever the user's forward raises outside its own fit
        return None, f"{type(error).__name__}: {error}".splitlines()[0]
    return batch, ""


def _by_data(edit: Edit, layers: Layers, gain: float | None, batch: Any) -> None:
    wanted = 1.0 if gain is None else gain**2
    near = equalise(edit.model, [module for _, module in layers], batch, wanted)
    names = [name for name, module in layers if any(module is one for one in near)]
    if names:
        edit.did.append(f"{listed(names)}: scaled to outputs of variance {wanted:g} on a batch.")
    if missed := [name for name, _ in layers if name not in names]:
        edit.leave(f"{listed(missed)}: not called on the batch, or without a spread there; not scaled.")


def _same_everywhere(parameters: Iterable[nn.Parameter]) -> None:
    """Ranks have seen different batches: all take what the first has."""
    if has_company():
        for parameter in parameters:
            distributed.broadcast(parameter.data, src=0)
