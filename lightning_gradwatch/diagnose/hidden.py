"""What weights and activations in opaque operations did to the gradient, reckoned from what they are made of.

Inside a compiled region or a reentrant checkpoint no operation is measured, but two things are known: how many decades
were lost between its layers (their parameters' gradients tell), and the weights' spreads.  Weights with standard
deviation s multiply a gradient by about s sqrt(fan_in); what that leaves is the activations' part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_gradwatch.records import Anatomy, Frame, Layer, Ledger
from lightning_gradwatch.records.flow import flow_in

# Activation modules by the names of their operations.
OPERATIONS = {
    "ReLU": "Relu", "LeakyReLU": "LeakyRelu", "PReLU": "PreluKernel", "ELU": "Elu", "GELU": "Gelu", "SiLU": "Silu",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Inside:
    """The layers of opaque operations between the head and one layer."""

    layers: tuple[Layer, ...] = ()  # those with weights whose spread is known, as the gradient meets them
    lost: float = 0.0  # decades, as a positive number
    names: tuple[str, ...] = ()  # of its activations' operations

    @property
    def weights(self) -> tuple[float, ...]:
        """Decades that each of the layers' weights gives a gradient (negative = lost)."""
        return tuple(math.log10((layer.weight_std or 1.0) * math.sqrt(layer.fan_in or 1)) for layer in self.layers)

    @property
    def _left(self) -> float:
        """Decades that the weights do not explain (negative = lost)."""
        return min(0.0, -self.lost - math.fsum(self.weights))

    @property
    def per_activation(self) -> float:
        """Decades of each activation (negative = lost)."""
        return self._left / len(self.names) if self.names else 0.0

    @property
    def unexplained(self) -> float:
        """Decades lost, as a positive number, where no activation is known to have lost them."""
        return 0.0 if self.names else -self._left


def inside(frame: Frame, ledger: Ledger, layer: str, anatomy: Anatomy) -> Inside:
    """What opaque operations hold on the way to a layer; empty where the ledger shows the way."""
    names = _names(ledger, layer)
    if not names:
        return Inside()
    flow = flow_in(frame, ledger)
    known = [name for name in names if name in flow]
    # The head's own output is where the way begins; each layer that the gradient passes sends it through its weights.
    passed = [one for name in known[:-1] if (one := anatomy.layer(name)) and one.weight_std and one.fan_in]
    lost = flow[known[0]] - flow[known[-1]] if known else 0.0
    return Inside(
        layers=tuple(one for one in passed if one.family == "linear"),
        lost=max(0.0, lost) if math.isfinite(lost) else 0.0,
        names=_activations(names, anatomy),
    )


def _names(ledger: Ledger, layer: str) -> list[str]:
    """The layers inside opaque operations, head first, down to that one."""
    names = [name for segment in ledger.body if segment.family == "opaque" for name in segment.modules]
    names += [*ledger.below, *ledger.unplaced]
    return names[: names.index(layer) + 1] if layer in names else names


def _activations(names: Sequence[str], anatomy: Anatomy) -> tuple[str, ...]:
    """The operations of the activation modules that stand under the same roof as these layers."""
    roofs = {name.rpartition(".")[0] for name in names}
    kinds = [kind for name, kind in anatomy.activations if name.rpartition(".")[0] in roofs]
    return tuple(OPERATIONS.get(kind, kind) for kind in kinds)
