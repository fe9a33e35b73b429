"""What a network is made of, as plain facts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One module that has parameters of its own."""

    name: str  # as named_modules() says it
    type: str  # the class: "Linear"
    family: str  # "linear", "norm", "recurrent", "embedding", "other"
    parameters: int  # number of elements
    trainable: bool  # at least one parameter requires a gradient
    fan_in: int | None = None  # inputs of one unit, of the layer's weight
    fan_out: int | None = None  # units that one input feeds
    weight_std: float | None = None  # standard deviation of the weight's elements


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The layers of a network in order of registration, and its activation modules."""

    layers: tuple[Layer, ...] = ()
    activations: tuple[tuple[str, str], ...] = ()  # (module name, class) of modules that are activations

    def is_build_of(self, other: Anatomy) -> bool:
        """Whether both are one network, whatever its weights are by now."""
        return _build(self) == _build(other)

    def layer(self, name: str) -> Layer | None:
        """The layer of that name; None: there is none."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def has(self, family: str) -> bool:
        """Whether any layer is of that family."""
        return any(layer.family == family for layer in self.layers)


def _build(anatomy: Anatomy) -> tuple[object, ...]:
    return tuple((layer.name, layer.type, layer.parameters) for layer in anatomy.layers), anatomy.activations
