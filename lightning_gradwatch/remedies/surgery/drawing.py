"""New weights for one layer, whatever it is; and what tells that it must be left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm, conv, instancenorm
from torch.nn.utils import parametrize

from lightning_gradwatch.remedies.surgery.freshness import is_learnt
from lightning_gradwatch.remedies.surgery.schemes import drawn, fans

_NORMS = (batchnorm._NormBase, instancenorm._InstanceNorm, nn.LayerNorm, nn.GroupNorm)
_DENSE = (nn.Linear, nn.Bilinear, conv._ConvNd)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_GATES = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3}
# Entries are drawn with a standard deviation of 1 by torch, of 0.02 by most language models.
_EMBEDDED = (0.01, 3.0)


@dataclass(frozen=True)
class Draw:
    """How a layer is drawn."""

    scheme: str
    gain: float


def family(module: nn.Module) -> str:
    """What kind of layer it is: "dense", "embedding", "recurrent", "attention", "norm"; "": none that is drawn here."""
    kinds = {"dense": _DENSE, "embedding": _EMBEDDINGS, "recurrent": _RECURRENT, "attention": nn.MultiheadAttention}
    return next((name for name, types in {**kinds, "norm": _NORMS}.items() if isinstance(module, types)), "")


def weights(module: nn.Module) -> dict[str, Tensor]:
    """The weights of a layer that schemes are for, by name; those of a parametrized one as they are computed."""
    names = [*module._parameters, *(module.parametrizations if parametrize.is_parametrized(module) else ())]  # type: ignore[misc]
    found = {name: getattr(module, name) for name in names if "weight" in name}
    return {name: weight for name, weight in found.items() if weight is not None}


def sources(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that a layer's weights are, or are computed from."""
    made = module.parametrizations if parametrize.is_parametrized(module) else None
    computed = list(made.parameters()) if isinstance(made, nn.Module) else []
    return [*(p for name, p in module._parameters.items() if p is not None and "weight" in name), *computed]


def hindrance(module: nn.Module) -> str:
    """Why a layer cannot be drawn; "" if it can."""
    found = sources(module)
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in found):
        return "has no weights yet: it is made by its first batch"
    if any(name.startswith("weight") and name.endswith(("_orig", "_g", "_v")) for name in module._parameters):
        return "computes its weight from others by a hook (pruning, the old weight_norm)"
    if found and not any(p.requires_grad for p in found):
        return "is frozen"
    if not all(weight.is_floating_point() for weight in weights(module).values()):
        return "has no floating-point weights"
    return ""


def is_spoilt(module: nn.Module) -> bool:
    """Whether a number of it is not finite, or its weights are one number throughout that is not 0."""
    own = [t for t in (*module.parameters(recurse=False), *module.buffers(recurse=False)) if t.is_floating_point()]
    if any(not bool(torch.isfinite(tensor).all()) for tensor in (*own, *weights(module).values())):
        return True
    return family(module) != "norm" and any(map(_is_constant, weights(module).values()))


def _is_constant(weight: Tensor) -> bool:
    first = weight.reshape(-1)[:1]
    return weight.numel() > 1 and bool(first != 0) and bool((weight == first).all())


def is_zero(module: nn.Module) -> bool:
    """Whether a layer's weights are all exactly 0."""
    found = weights(module)
    return bool(found) and not any(bool(weight.any()) for weight in found.values())


def was_learnt(module: nn.Module) -> bool:
    """Whether any of its weights show what only training leaves behind."""
    return any(is_learnt(weight) for weight in weights(module).values() if weight.dim() > 1)


def is_off_scale(module: nn.Module) -> bool:
    """Whether an embedding's entries are of a size that no usual initialisation gives."""
    return not _EMBEDDED[0] <= _size(weights(module)["weight"]) <= _EMBEDDED[1]


def _size(weight: Tensor) -> float:
    return float(weight.detach().float().std())


@torch.no_grad()
def draw(module: nn.Module, how: Draw, seen: set[int]) -> list[nn.Parameter]:
    """Draw a layer's weights and set its biases, in place; the parameters that changed.

    Args:
        module: a layer.
        how: by which scheme.
        seen: ``id`` of the parameters that are drawn already: those that are tied are drawn once; grows.
    """
    changed: list[nn.Parameter] = []
    for name, new in _new(module, how):
        owned = _behind(module, name)
        if not owned or any(id(p) in seen for p in owned) or not any(p.requires_grad for p in owned):
            continue
        put(module, name, new)
        seen.update(map(id, owned))
        changed += owned
    return changed


def put(module: nn.Module, name: str, value: Tensor) -> None:
    """Set a weight, through its parametrization where it has one."""
    if parametrize.is_parametrized(module, name):
        setattr(module, name, value)
    else:
        module._parameters[name].copy_(value)  # type: ignore[union-attr]


def _behind(module: nn.Module, name: str) -> list[nn.Parameter]:
    if parametrize.is_parametrized(module, name):
        return list(module.get_submodule(f"parametrizations.{name}").parameters())
    own = module._parameters.get(name)
    return [] if own is None else [own]


def _new(module: nn.Module, how: Draw) -> Iterator[tuple[str, Tensor]]:
    others = {name: p for name, p in module._parameters.items() if p is not None}
    every: dict[str, Any] = {**weights(module), **others}  # a weight that cannot be set leaves its bias alone
    kind = family(module)
    for name, old in every.items():
        if kind == "norm":
            yield name, torch.full_like(old, float("weight" in name))
        elif kind == "embedding":
            yield name, _embedded(module, old)
        elif kind == "recurrent":
            yield name, _recurrent(module, name, old, how)
        elif "weight" in name:
            yield name, _blocks(module, name, old, how)
        elif name in ("bias_k", "bias_v"):  # one more key and value, as torch draws them
            yield name, drawn(old, "xavier", 1.0, (old.shape[1] * old.shape[2], old.shape[0] * old.shape[2]))
        else:
            yield name, torch.zeros_like(old)


def _blocks(module: nn.Module, name: str, old: Tensor, how: Draw) -> Tensor:
    """Queries, keys and values in one matrix are three layers."""
    parts = old.chunk(3) if name == "in_proj_weight" else (old,)
    swapped = isinstance(module, conv._ConvTransposeNd) and module.groups == 1
    return torch.cat([drawn(part, how.scheme, how.gain, fans(module, part), swapped=swapped) for part in parts])


def _embedded(module: nn.Module, old: Tensor) -> Tensor:
    size = 1.0 if is_off_scale(module) else _size(old)  # 1: torch's own
    new = drawn(old, "lecun", size, (1.0, 1.0))
    padding = getattr(module, "padding_idx", None)
    if padding is not None:
        new[padding] = 0
    return new


def _recurrent(module: nn.Module, name: str, old: Tensor, how: Draw) -> Tensor:
    """Gate by gate; what leads from step to step is orthogonal, an LSTM's forget gate begins open.

    Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear networks (2014), section 3;
    Jozefowicz et al., An empirical exploration of recurrent network architectures (2015), section 2.2: its bias 1.
    """
    gates = next((count for kind, count in _GATES.items() if isinstance(module, kind)), 1)
    if "bias" in name:
        new = torch.zeros_like(old)
        if gates == 4 and name.startswith("bias_ih"):
            new.chunk(4)[1].fill_(1.0)
        return new
    if name.startswith("weight_hr"):  # an LSTM's projection
        return drawn(old, how.scheme, how.gain, fans(module, old))
    to_itself = Draw("orthogonal", 1.0) if name.startswith("weight_hh") else how
    return torch.cat([drawn(part, to_itself.scheme, to_itself.gain, fans(module, part)) for part in old.chunk(gates)])
