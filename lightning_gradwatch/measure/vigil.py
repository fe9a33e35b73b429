"""The cheap meter between measured steps: norms of a few gradients, and the losses, every few steps.

One multi-tensor launch, and no wait for an accelerator: its numbers are copied behind its own work and read at the next
look, steps later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.measure.norms import dense

# Steps between two looks.
EVERY = 5
# Gradients looked at, for each optimizer: spread evenly over its parameters.
MOST = 64
# Where a copy can be waited for without waiting for all work of the device.
REACHED = ("cpu", "cuda")
_WIDE = (torch.float64, torch.complex128)


@dataclass(frozen=True)
class Look:
    """What was seen of one optimizer's gradients, or of the losses."""

    optimizer: int  # its place; -1: these are losses
    numbers: dict[str, float]
    is_true: bool = True  # whether the numbers are in the user's own units, and not times a loss scale that changes


@dataclass(frozen=True)
class _Copy:
    """Numbers on their way to the host."""

    look: Look
    names: Sequence[str]
    values: Tensor
    event: Any = None

    def arrived(self) -> Look:
        if self.event is not None:
            self.event.synchronize()  # recorded a look ago: it has long passed
        numbers = dict(zip(self.names, self.values.tolist(), strict=True))
        return replace(self.look, numbers={**self.look.numbers, **numbers})


class Vigil:
    """Looks at a step, and says what was seen: at once where that is free, else at the next look.

    Args:
        carried: what was under way when the fit was interrupted.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2, 2))
        >>> weight.grad, vigil = torch.full((2, 2), 1.5), Vigil()
        >>> vigil.gradients(0, [weight])
        >>> vigil.settle()
        [Look(optimizer=0, numbers={'0': 3.0}, is_true=True)]
    """

    def __init__(self, carried: Iterable[Look] = ()) -> None:
        self._early: list[Look] = list(carried)  # of the look before
        self._now: list[_Copy] = []
        self._under_way: list[_Copy] = []

    def loss(self, name: str, value: Tensor) -> None:
        """See a loss, a 0-d tensor."""
        self._send(Look(-1, {}), [name], value.detach().reshape(1))

    def gradients(self, optimizer: int, parameters: Sequence[Tensor], *, is_true: bool = True) -> None:
        """See the gradients of an optimizer that is about to step.

        Args:
            optimizer: its place among the fit's optimizers.
            parameters: all that it holds.
            is_true: whether its gradients are not scaled.
        """
        wide = [(i, p) for i, p in enumerate(parameters) if p.requires_grad and p.dim() >= 2]
        chosen = [wide[k * len(wide) // MOST] for k in range(MOST)] if len(wide) > MOST else wide
        alike: dict[tuple[torch.device, bool], dict[str, Tensor]] = {}  # what one launch can take together
        missing: dict[str, float] = {}  # one that was there before is news
        for i, parameter in chosen:
            gradient = parameter.grad
            if gradient is None:
                missing[str(i)] = 0.0
            elif _is_plain(gradient):
                kind = gradient.device, gradient.dtype in _WIDE
                alike.setdefault(kind, {})[str(i)] = dense(gradient)
        for gradients in alike.values():
            norms = torch.stack(_norms([*gradients.values()]))
            self._send(Look(optimizer, missing, is_true), [*gradients], norms)
            missing = {}

    def _send(self, look: Look, names: Sequence[str], values: Tensor) -> None:
        self._now.append(_Copy(look, names, *_sent(values)))

    def settle(self) -> list[Look]:
        """What is known now: all that the host has, and what was under way at the look before."""
        known = self.under_way() + [copy.arrived() for copy in self._now if copy.event is None]
        self._early, self._under_way = [], [copy for copy in self._now if copy.event is not None]
        self._now = []
        return known

    def forget(self) -> None:
        """The step that is being looked at was none."""
        self._now = []

    def under_way(self) -> list[Look]:
        """What the next look will know of this one; for a checkpoint, which may wait."""
        return self._early + [copy.arrived() for copy in self._under_way]


def _is_plain(gradient: Tensor) -> bool:
    """Whether its values lie there to be read, and on a device that can be asked later."""
    return gradient.layout == torch.strided and not gradient.is_nested and gradient.device.type in REACHED


def _norms(gradients: list[Tensor]) -> list[Tensor]:
    """L2, quick rather than exact: 0 below some 1e-23, inf above some 1e18, which is news of its own."""
    double = gradients[0].dtype == torch.float64
    foreach_norm = torch._foreach_norm  # pyright: ignore[reportPrivateImportUsage]
    return list(foreach_norm(gradients, 2, dtype=torch.float64 if double else torch.float32))


def _sent(values: Tensor) -> tuple[Tensor, Any]:
    if values.device.type == "cpu":
        return values, None
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(values.device))
    return host, event
