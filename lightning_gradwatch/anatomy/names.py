"""Names as the user's own model says them, whatever has been wrapped around its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from torch import nn

# Attributes under which a wrapper keeps what it wraps: torch.compile, activation checkpointing, FSDP.
_WRAPPED = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_fpw_module")
# Classes that keep it under a name that a user may well use, too.
_HOLDERS = ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel", "AveragedModel")


def parameter_names(model: nn.Module) -> dict[int, str]:
    """``id(parameter)`` -> its name, wrappers left out; a shared parameter has its first name.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self._orig_mod = nn.Linear(2, 1, bias=False)
        >>> list(parameter_names(nn.Sequential(Net())).values())
        ['0.weight']
    """
    names: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), name)
    plain = _plain(model, names.values())
    return {key: plain[name] for key, name in names.items()}


def every_module(model: nn.Module) -> list[nn.Module]:
    """All modules in a model, each once, itself first; some ten times quicker than ``modules()``, which names them."""
    seen = {id(model): model}
    stack = [model]
    while stack:
        for child in getattr(stack.pop(), "_modules", {}).values():  # an engine need not be a module
            if child is not None and id(child) not in seen:
                seen[id(child)] = child
                stack.append(child)
    return list(seen.values())


def named_modules(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules by their names, wrappers and the insides of parametrizations left out.

    Example:
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
        >>> [name for name, _ in named_modules(nn.Sequential(layer))]
        ['0']
    """
    shells = {name.rpartition(".")[0] for name in _wrapped(model)}
    found = {
        name: module
        for name, module in model.named_modules()
        if name not in shells and "parametrizations" not in name.split(".")
    }
    plain = _plain(model, found)
    return [(plain[name], module) for name, module in found.items() if plain[name]]


def _plain(model: nn.Module, names: Iterable[str]) -> dict[str, str]:
    """Name -> the same without wrappers; as it was where two would be called the same."""
    wrapped = _wrapped(model)
    plain = {name: _without(name, wrapped) for name in names}
    times = Counter(plain.values())
    return {name: short if times[short] == 1 else name for name, short in plain.items()}


def _wrapped(model: nn.Module) -> set[str]:
    """The names of what wrappers hold."""
    if not any(_wraps(module, child) for module in every_module(model) for child, _ in module._modules.items()):
        return set()
    return {
        f"{name}.{child}" if name else child
        for name, module in model.named_modules(remove_duplicate=False)
        for child, _ in module.named_children()
        if _wraps(module, child)
    }


def _wraps(module: nn.Module, child: str) -> bool:
    return child in _WRAPPED or (child == "module" and type(module).__name__ in _HOLDERS)


def _without(name: str, wrapped: set[str]) -> str:
    if not wrapped:
        return name
    parts = name.split(".")
    return ".".join(part for i, part in enumerate(parts) if ".".join(parts[: i + 1]) not in wrapped)
