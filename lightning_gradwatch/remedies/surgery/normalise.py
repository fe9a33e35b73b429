"""A normalisation at the output of a layer: a child module that a hook of the layer runs, so that no name changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from lightning_gradwatch.anatomy.names import every_module
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.layers import given, taken, why_fixed
from lightning_gradwatch.remedies.surgery.trace import Role, Step, behind, flow, followers

# Sequences: their lengths and batches vary, their features do not.
_SEQUENTIAL = (
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.Embedding,
    nn.EmbeddingBag,
)
_SMALL_BATCH = 16  # Wu & He (2018), figure 1: below it the error of batch normalisation grows
_GROUPS = 32  # the same, section 4.1
_GROUP_SIZE = 16  # features of a linear layer in a group, at least: the same, table 3


@dataclass(frozen=True)
class Candidate:
    """A layer between which and its activation a normalisation may stand, or why none is to."""

    name: str
    layer: Any
    why_not: str = ""
    norm: str = ""  # the name of the module that normalises it already


def insert(edit: Edit, kind: str, *, drop_bias: bool) -> None:
    """Normalise every hidden layer that was asked for.

    Args:
        edit: the network.
        kind: "batch", "layer", "group", or "auto".
        drop_bias: whether the biases of these layers go.
    """
    chosen = resolved(kind, edit)
    names = {id(module): name for name, module in edit.modules}
    for candidate in candidates(edit.model):
        name = names.get(id(candidate.layer))
        if name is None:
            continue
        if candidate.norm and kind in ("group", "layer"):
            _exchange(edit, candidate, kind)
        elif candidate.why_not:
            edit.leave(candidate.why_not)
        else:
            _hang(edit, name, candidate.layer, norm_for(candidate.layer, chosen), drop_bias=drop_bias)
    for name, module in edit.modules:
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
            edit.leave(f"{name} is recurrent: a normalisation at its output changes nothing between its time steps.")


def planned(model: nn.Module, kind: str) -> list[tuple[str, nn.Module]]:
    """The layers that would get a normalisation, and which; nothing is changed."""
    chosen = resolved(kind, Edit(model))
    return [(one.name, norm_for(one.layer, chosen)) for one in candidates(model) if not one.why_not]


def candidates(model: nn.Module) -> Iterator[Candidate]:
    """Every layer with weights that is not the last one of its network."""
    steps = [step for step in flow(model) if step.role is Role.WEIGHTS]
    called = Counter(id(step.module) for step in steps)
    mixed = _siblings_normalise(model)
    lists = {name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    for step in {id(step.module): step for step in steps}.values():
        if any(one.role is Role.WEIGHTS for one in behind(step)):  # else it gives the output
            yield _judged(step, called[id(step.module)], mixed, lists)


def resolved(kind: str, edit: Edit) -> str:
    """What "auto" is in this network, with batches of that size."""
    if kind != "auto":
        return kind
    if _is_sigmoid(edit.model):
        return "batch"
    if any(isinstance(module, _SEQUENTIAL) for module in every_module(edit.model)):
        return "layer"
    size = _batch_size(edit)
    return "batch" if size is None or size >= _SMALL_BATCH else "group"


def _is_sigmoid(model: nn.Module) -> bool:
    """Whether hidden units are sigmoids: their mean of 1/2, the same for all samples, only a batch norm takes away."""
    hidden = [step for step in flow(model) if step.role is Role.ACTIVATION and followers(step)]
    return any("sigmoid" in (type(s.module).__name__ if s.module else s.name).lower() for s in hidden)


def norm_for(layer: Any, kind: str) -> nn.Module:
    """A new normalisation of what a layer gives.

    Args:
        layer: a linear or convolutional layer.
        kind: "batch", "layer", "group".

    Example:
        >>> norm_for(nn.Conv2d(3, 48, 3), "group").num_groups
        24
        >>> type(norm_for(nn.Conv2d(3, 48, 3), "batch")).__name__
        'BatchNorm2d'
    """
    linear = isinstance(layer, nn.Linear)
    features = given(layer)
    if kind == "batch":
        norm: nn.Module = getattr(nn, f"BatchNorm{1 if linear else len(layer.kernel_size)}d")(features)
    elif kind == "layer":
        norm = nn.LayerNorm(features) if linear else nn.GroupNorm(1, features)
    else:
        norm = nn.GroupNorm(_groups(features, _GROUP_SIZE if linear else 1), features)
    like = next(layer.parameters())
    return norm.to(like.device, like.dtype).train(layer.training)


class Normalises:
    """A forward hook: gives a layer's output to the normalisation that the layer holds under that name.

    A linear layer's features are the last axis, however many there are before it.  A training batch of one value a
    feature, of which batch normalisation cannot take a variance, is normalised with the running statistics.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, layer: nn.Module, args: Any, output: Any) -> Any:
        """What the layer's callers get."""
        norm = getattr(layer, self.name, None)
        if norm is None or not isinstance(output, Tensor):
            return None
        if isinstance(layer, _ConvNd):
            alone = output.dim() == len(layer.kernel_size) + 1  # one sample without an axis for the batch
            return _run(norm, output[None])[0] if alone else _run(norm, output)
        if isinstance(norm, nn.LayerNorm):
            return norm(output)
        return _run(norm, output.reshape(-1, output.shape[-1])).reshape(output.shape)


def _run(norm: nn.Module, values: Tensor) -> Tensor:
    # Not for SyncBatchNorm: the other ranks would wait for this one's statistics.
    guarded = isinstance(norm, _BatchNorm) and not isinstance(norm, nn.SyncBatchNorm) and norm.training
    if guarded and values.numel() // values.shape[1] < 2:
        bn = cast(Any, norm)
        return F.batch_norm(values, bn.running_mean, bn.running_var, bn.weight, bn.bias, training=False, eps=bn.eps)
    return norm(values)


def _judged(step: Step, calls: int, mixed: set[str], lists: set[str]) -> Candidate:
    name, layer = step.name, cast(Any, step.module)
    norm = next((one for one in _next(step) if one.role is Role.NORM), None)
    why = why_fixed(name, layer)
    if any(isinstance(hook, Normalises) for hook in layer._forward_hooks.values()):
        return Candidate(name, layer, f"{name} is normalised already.")
    if norm is not None:
        by = f"by {norm.name}" if norm.module is not None else f"({norm.name})"
        module = norm.name if isinstance(norm.module, _BatchNorm) else ""
        return Candidate(name, layer, why or f"{name} is normalised already {by}.", "" if why else module)
    if why:
        return Candidate(name, layer, why)
    if calls > 1:
        return Candidate(name, layer, f"{name} is used {calls} times: one normalisation would not suit them all.")
    if not _is_activated(step, lists):
        return Candidate(name, layer, f"No activation is seen to follow {name}.")
    if step.parent in mixed and not any(one.role is Role.ACTIVATION for one in _next(step)):
        return Candidate(name, layer, f"Whether {name} is normalised already cannot be seen: its order is not known.")
    return Candidate(name, layer)


def _next(step: Step) -> list[Step]:
    """What takes its output up, reshaping and dropout left out."""
    found: list[Step] = []
    for user in step.users:
        found.extend(_next(user) if user.role is Role.PASS else [user])
    return found


def _is_activated(step: Step, lists: set[str]) -> bool:
    """Whether an activation follows; in a ``forward`` that cannot be traced, a functional one is presumed."""
    if any(one.role is Role.ACTIVATION for one in _next(step)):
        return True
    return step.parent is not None and any(
        one.role is Role.WEIGHTS
        and (step.parent == one.parent or step.parent in lists)
        and given(step.module) == taken(one.module)
        for one in followers(step)
    )


def _siblings_normalise(model: nn.Module) -> set[str]:
    """Modules whose own parts are layers and normalisations side by side, in whatever order they run."""
    kinds = {
        name: [type(child).__name__.lower() for child in module.children()] for name, module in model.named_modules()
    }
    return {name for name, children in kinds.items() if any("norm" in child for child in children)}


def _hang(edit: Edit, name: str, layer: nn.Module, norm: nn.Module, *, drop_bias: bool) -> None:
    free = next(f"norm{number}" for number in ("", *range(1, 99)) if not hasattr(layer, f"norm{number}"))
    layer.add_module(free, norm)
    layer.register_forward_hook(Normalises(free))
    dropped = drop_bias and layer._parameters.get("bias") is not None
    if dropped:
        layer._parameters["bias"] = None
    edit.change(name, f"{name}: {type(norm).__name__} after it{', its bias is gone' if dropped else ''}.")


def _exchange(edit: Edit, candidate: Candidate, kind: str) -> None:
    """A batch norm that is there becomes one that needs no batch; its scale and shift stay."""
    old = cast(Any, edit.model.get_submodule(candidate.norm))
    new = cast(Any, norm_for(candidate.layer, kind))
    if isinstance(new, nn.LayerNorm):  # it stands in the network itself, perhaps with features in axis 1
        new = nn.GroupNorm(1, old.num_features).to(new.weight.device, new.weight.dtype)
    if old.affine:
        new.weight, new.bias = old.weight, old.bias
    edit.replace(old, new)


def _groups(features: int, size: int) -> int:
    """The most groups, of at most 32 and of that size at least, that divide the features."""
    return max(g for g in range(1, _GROUPS + 1) if features % g == 0 and (g == 1 or features // g >= max(size, 2)))


def _batch_size(edit: Edit) -> int | None:
    if edit.batches is None:
        return None
    try:
        batch = next(iter(edit.batches()))
    except Exception:  # a trainer that has no data yet
        return None
    return next((item.shape[0] for item in _tensors(batch) if item.dim()), None)


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, (dict, list, tuple)):
        for item in batch.values() if isinstance(batch, dict) else batch:
            yield from _tensors(item)
