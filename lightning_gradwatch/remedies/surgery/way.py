"""A way around one layer, while the network runs: what enters the layer is added to what enters the next one.

So activations and normalisations between the two are led around too, functional ones as well, and no module moves.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Held = tuple[Tensor, Tensor | float]


class Way:
    """What the two hooks of one way share; copies and pickles hold no tensor of a run.

    Args:
        start: name of the layer that it leads around.
        end: name of the next one.
        skip: name of the projection that ``start`` holds; "": there is none.
        scale: of what the layer gives: a number, or the name of a parameter that ``start`` holds.
    """

    def __init__(self, start: str, end: str, skip: str = "", scale: float | str = 1.0) -> None:
        self.start, self.end, self.skip, self.scale = start, end, skip, scale
        self.seen = False  # whether both layers have run in this order
        self.closed = ""  # why it is not taken
        self._held: dict[int, Held] = {}  # by thread; from the one hook to the other
        self._again: list[tuple[int, weakref.ref[Tensor], Tensor | float]] = []  # for checkpoints: by place in memory

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": {}, "_again": []}

    def leave(self, layer: nn.Module, given: Tensor) -> None:
        """The layer is about to run on this."""
        if not self.seen and self._held.get(_thread()) is not None:
            return self.close(f"{self.start} runs twice before {self.end} does.")
        around = getattr(layer, self.skip)(given) if self.skip else given
        scale = getattr(layer, self.scale) if isinstance(self.scale, str) else self.scale
        self._held[_thread()] = around, scale
        return None

    def arrive(self, given: Tensor) -> Tensor:
        """What the next layer runs on, instead of this."""
        held = self._held.pop(_thread(), None)
        if held is None and _in_backward():
            held = self._remembered(given)
        if held is None:
            if not self.seen:
                self.close(f"{self.end} runs before {self.start} does.")
            return given
        around = given if held[0] is given else _fitted(held[0], given)
        if around is None or around is given:
            shapes = f"{tuple(held[0].shape)} and {tuple(given.shape)}"
            self.close("both get the same input." if around is given else f"their inputs do not match, {shapes}.")
            return given
        self.seen = True
        scale = held[1]
        joined = around + (given if isinstance(scale, float) and scale == 1.0 else scale * given)
        if not torch.compiler.is_compiling():
            self._remember(given, joined, held)
        return joined

    def close(self, why: str) -> None:
        """Do not take it from now on, and say why."""
        self.closed = why
        self.clear()
        warnings.warn(f"AddResidual: the way around {self.start} to {self.end} is left out: {why}", stacklevel=2)

    def clear(self) -> None:
        """Let go of what a run of this thread that ended early has left."""
        self._held.pop(_thread(), None)

    # --- activation checkpoints: the next layer runs again in the backward pass, perhaps without this one -------------

    def _remember(self, given: Tensor, joined: Tensor, held: Held) -> None:
        if _in_backward() or not _is_checkpointed() or joined.grad_fn is None:
            return
        self._again = [one for one in self._again if one[1]() is not None]
        self._again.append((given.data_ptr(), weakref.ref(held[0]), held[1]))
        # The graph holds it as long as it can be asked for, and no longer.
        cast(Any, joined.grad_fn).metadata[self] = held[0]

    def _remembered(self, given: Tensor) -> Held | None:
        alive = [(place, tensor, scale) for place, ref, scale in self._again if (tensor := ref()) is not None]
        same = [one for one in alive if one[0] == given.data_ptr()] or alive
        if len(same) != 1:
            self.close("an activation checkpoint ends between them; with use_reentrant=False it may.")
            return None
        return same[0][1], same[0][2]


class Leaves:
    """A forward pre-hook of the layer that a way leads around."""

    def __init__(self, way: Way) -> None:
        self.way = way

    def __call__(self, layer: nn.Module, args: Any) -> None:
        """Keep the input."""
        if not self.way.closed and args and isinstance(args[0], Tensor):
            self.way.leave(layer, args[0])


class Arrives:
    """A forward pre-hook of the layer that a way leads to."""

    def __init__(self, way: Way) -> None:
        self.way = way

    def __call__(self, layer: nn.Module, args: Any) -> Any:
        """Add the input kept."""
        if self.way.closed or not args or not isinstance(args[0], Tensor):
            return None
        return (self.way.arrive(args[0]), *args[1:])


class Sweeps:
    """A forward hook of the module that holds all these layers: also after an exception nothing is kept."""

    def __init__(self, ways: list[Way]) -> None:
        self.ways = ways

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        """Let go."""
        for way in self.ways:
            way.clear()


def _fitted(around: Tensor, like: Tensor) -> Tensor | None:
    """It, in the height and width of the other: averaged where the layer strides, cut where it has no padding."""
    if around.shape == like.shape:
        return around
    axes = like.dim() - 2
    if around.dim() != like.dim() or axes not in _POOLS or around.shape[:2] != like.shape[:2]:
        return None
    ratios = [have // want for have, want in zip(around.shape[2:], like.shape[2:], strict=True)]
    if min(ratios) < 1:
        return None
    pooled = _POOLS[axes](around, ratios) if max(ratios) > 1 else around
    for axis in range(2, like.dim()):
        spare = pooled.shape[axis] - like.shape[axis]
        pooled = pooled.narrow(axis, spare // 2, like.shape[axis]) if spare else pooled
    return pooled


_POOLS: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _thread() -> int:
    """Which thread this is; in compiled code the one that compiled it."""
    return threading.get_ident()


# As torch.compiler.assume_constant_result does, which would load the compiler.
cast(Any, _thread)._dynamo_marked_constant = True


def _in_backward() -> bool:
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def _is_checkpointed() -> bool:
    """Whether what autograd saves goes through hooks, as within an activation checkpoint."""
    return cast(Any, torch._C)._autograd._top_saved_tensors_default_hooks(True) is not None
