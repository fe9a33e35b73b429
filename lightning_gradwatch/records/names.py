"""Names of parameters -> names of the modules that people know them by."""

from __future__ import annotations

import functools
from collections.abc import Iterable


@functools.lru_cache(maxsize=1 << 14)
def module_of(parameter: str) -> str:
    """The module that a parameter belongs to, as named_modules() says it; "" for one of the model itself.

    A parametrized weight (weight_norm, spectral_norm) belongs to the layer that uses it, not to its parametrization.

    Example:
        >>> module_of("net.0.weight"), module_of("net.0.parametrizations.weight.original0")
        ('net.0', 'net.0')
    """
    layer, parametrized, _ = parameter.partition(".parametrizations.")
    return layer if parametrized else parameter.rpartition(".")[0]


def layers_of(parameters: Iterable[str]) -> tuple[str, ...]:
    """The modules of these parameters, each once, in their order; a parameter of the model itself stands for itself.

    Example:
        >>> layers_of(["net.0.weight", "net.0.bias", "scale"])
        ('net.0', 'scale')
    """
    return tuple(dict.fromkeys(module_of(name) or name for name in parameters))


def common_module(modules: Iterable[str]) -> str:
    """The innermost module that holds all of these; "" for the model itself.

    Example:
        >>> common_module(["gan.generator.0", "gan.generator.2"]), common_module(["a", "b"])
        ('gan.generator', '')
    """
    common: list[str] = []
    for level in zip(*(module.split(".") for module in modules), strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join(common)
