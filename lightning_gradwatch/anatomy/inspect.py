"""Reads a model's layers without running it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm, conv, instancenorm
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from lightning_gradwatch.anatomy.names import named_modules
from lightning_gradwatch.anatomy.sharding import is_sliced, local, plain_class
from lightning_gradwatch.records import Anatomy, Layer

# The spread of a weight is known well enough from so many of its elements.
_ENOUGH = 1 << 16

_FAMILIES: tuple[tuple[str, tuple[type[nn.Module], ...]], ...] = (
    ("linear", (nn.Linear, nn.Bilinear, conv._ConvNd)),
    ("norm", (batchnorm._NormBase, instancenorm._InstanceNorm, nn.LayerNorm, nn.GroupNorm)),
    ("recurrent", (nn.RNNBase, nn.RNNCellBase)),
    ("embedding", (nn.Embedding, nn.EmbeddingBag)),
    ("attention", (nn.MultiheadAttention,)),
)


def inspect_model(model: nn.Module, flat: Mapping[int, tuple[int, int]] | None = None) -> Anatomy:
    """The layers of a model in order of registration, and its activation modules.

    Args:
        model: the network.
        flat: what ``flat_slices`` says of it: parameters whose shape is not to be seen.

    Example:
        >>> anatomy = inspect_model(nn.Sequential(nn.Linear(4, 3), nn.Tanh()))
        >>> anatomy.layers[0].type, anatomy.layers[0].fan_in, anatomy.activations
        ('Linear', 4, (('1', 'Tanh'),))
    """
    modules = named_modules(model)
    owners = [(name, module) for name, module in modules if _own(module)]
    sizes = {place: size for place, (_, size) in (flat or {}).items()}
    weights = [None if id(weight := _weight(module)) in sizes else weight for _, module in owners]
    spreads = _spreads(weights)
    layers = (_layer(name, module, std, sizes) for (name, module), std in zip(owners, spreads, strict=True))
    activations = ((name, _class(module).__name__) for name, module in modules if is_activation(module))
    return Anatomy(layers=tuple(layers), activations=tuple(activations))


def is_activation(module: nn.Module) -> bool:
    """Whether a module is one of torch.nn's activations, or a subclass of one."""
    kind = _class(module)
    origins = {base.__module__ for base in kind.__mro__}
    return "torch.nn.modules.activation" in origins and not issubclass(kind, nn.MultiheadAttention)


def _own(module: nn.Module) -> list[Tensor]:
    every = [*module.parameters(recurse=False), *_parametrized(module)]
    return [p for p in every if not isinstance(p, UninitializedParameter)]


def _parametrized(module: nn.Module, tensor: str | None = None) -> list[nn.Parameter]:
    """What a module's tensor, or all of them, are computed from."""
    if not parametrize.is_parametrized(module, tensor):
        return []
    made = module.get_submodule("parametrizations" if tensor is None else f"parametrizations.{tensor}")
    return [*made.parameters()]


def _weight(module: nn.Module) -> Tensor | None:
    """The parameter that a layer's fan and spread are told by; of a recurrent layer the recurrent one."""
    own = dict(module.named_parameters(recurse=False))
    for name in ("weight_hh_l0", "weight_hh", "weight"):
        weight = own.get(name)
        if weight is not None and not isinstance(weight, UninitializedParameter):
            return weight
    return None


def _class(module: nn.Module) -> type:
    """The class that the user took: torch gives parametrized, scripted and sharded modules one of their own."""
    scripted = getattr(nn, getattr(module, "original_name", ""), None)
    return scripted if isinstance(scripted, type) else plain_class(parametrize.type_before_parametrizations(module))


def _shaped_as_weight(module: nn.Module) -> Tensor | None:
    """The weight, or what a weight is computed from (weight_norm, spectral_norm) where that has its shape."""
    if inside := _parametrized(module, "weight"):
        return max(inside, key=torch.numel)
    own = dict(module.named_parameters(recurse=False))
    return next((own[name] for name in ("weight_v", "weight_orig") if name in own), _weight(module))


def _layer(name: str, module: nn.Module, weight_std: float | None, sizes: Mapping[int, int]) -> Layer:
    """One layer; ``sizes`` are those of parameters of which only a flat slice is here, without their shape."""
    weight = _shaped_as_weight(module)
    is_whole = weight is not None and weight.dim() > 1 and id(weight) not in sizes
    fan_in, fan_out = _fans(weight, module) if weight is not None and is_whole else (None, None)
    return Layer(
        name=name,
        type=getattr(module, "original_name", _class(module).__name__),
        family=next((family for family, types in _FAMILIES if issubclass(_class(module), types)), "other"),
        parameters=sum(sizes.get(id(p), p.numel()) for p in _own(module)),
        trainable=any(p.requires_grad for p in _own(module)),
        fan_in=fan_in,
        fan_out=fan_out,
        weight_std=weight_std,
    )


def _fans(weight: Tensor, module: nn.Module) -> tuple[int, int]:
    """Inputs of one unit, and units that one input feeds (He et al. 2015, section 2.2; strides thin the latter out)."""
    kernel = math.prod(weight.shape[2:])
    fan_in, fan_out = weight.shape[1] * kernel, weight.shape[0] * kernel
    if isinstance(module, conv._ConvTransposeNd):
        fan_in, fan_out = fan_out, fan_in
    elif isinstance(module, conv._ConvNd):
        fan_out = max(1, fan_out // math.prod(module.stride))
    return fan_in, fan_out


def _spreads(weights: Iterable[Tensor | None]) -> list[float | None]:
    """Standard deviations, in one copy to the host."""
    found = [_std(weight) for weight in weights]
    devices = {std.device for std in found if std is not None}
    if len(devices) != 1 or next(iter(devices)).type == "meta":
        return [None if std is None or std.is_meta else float(std) for std in found]
    values = iter(torch.stack([std for std in found if std is not None]).tolist())
    return [None if std is None else next(values) for std in found]


def _std(weight: Tensor | None) -> Tensor | None:
    if weight is None or weight.numel() < 2 or not weight.is_floating_point():
        return None
    if is_sliced(weight):  # one rank's slice; the whole could only be had by talking to the others
        return None
    values = local(weight).reshape(-1)
    return values[:: math.ceil(values.numel() / _ENOUGH)].float().std()
