"""A way around one layer, while the network runs: what enters the layer is added to what enters the next one.

So activations and normalisations between the two are led around too, functional ones as well, and no module moves.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F


@dataclass(frozen=True)
class _Held:
    """What a layer was given, on its way to the next one."""

    around: Tensor  # the input itself, or its projection
    scale: Tensor | float
    segment: Any  # the activation checkpoint in which the layer ran


@dataclass(frozen=True, eq=False)
class _Kept:
    """The same for as long as the next layer may have to run again without the first."""

    place: int  # in memory, of what the next layer was given
    given: StorageWeakRef
    around: weakref.ref[Tensor]
    scale: Tensor | float


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
        self._held: dict[int, _Held] = {}  # by thread; from the one hook to the other
        self._kept: list[_Kept] = []  # where a checkpoint ends between the two

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": {}, "_kept": []}

    def leave(self, layer: nn.Module, given: Tensor) -> None:
        """The layer is about to run on this."""
        if not self.seen and self._held.get(_thread()) is not None:
            return self.close(f"{self.start} runs twice before {self.end} does.")
        if _in_backward() and self._alive():  # only this layer runs again, and not for the next one
            return None
        around = getattr(layer, self.skip)(given) if self.skip else given
        scale = getattr(layer, self.scale) if isinstance(self.scale, str) else self.scale
        self._held[_thread()] = _Held(around, scale, _segment())
        return None

    def arrive(self, given: Tensor) -> Tensor:
        """What the next layer runs on, instead of this."""
        held = self._held.pop(_thread(), None)
        if _in_backward() and held is None:
            held = self._recall(given)
        if held is None:
            if not self.seen:
                self.close(f"{self.end} runs before {self.start} does.")
            return given
        around = given if held.around is given else _fitted(held.around, given)
        if around is None or around is given:
            shapes = f"{tuple(held.around.shape)} and {tuple(given.shape)}"
            self.close("both get the same input." if around is given else f"their inputs do not match, {shapes}.")
            return given
        self.seen = True
        scale = held.scale
        joined = around + (given if isinstance(scale, float) and scale == 1.0 else scale * given)
        if held.segment is not _segment() and not _in_backward():
            self._keep(given, joined, held)
        return joined

    def close(self, why: str) -> None:
        """Do not take it from now on, and say why."""
        self.closed = why
        self.clear()
        warnings.warn(f"AddResidual: the way around {self.start} to {self.end} is left out: {why}", stacklevel=2)

    def idle(self, layer: nn.Module, given: Tensor) -> Tensor:
        """The same input; what is not used takes part, or DistributedDataParallel would wait for its gradients."""
        if self.skip:
            given = given + 0 * getattr(layer, self.skip).weight.sum().to(given.dtype)
        return given + 0 * getattr(layer, self.scale).to(given.dtype) if isinstance(self.scale, str) else given

    def clear(self) -> None:
        """Let go of what a run of this thread that ended early has left."""
        self._held.pop(_thread(), None)

    # --- activation checkpoints: the next layer runs again in the backward pass, perhaps without this one -------------

    def _keep(self, given: Tensor, joined: Tensor, held: _Held) -> None:
        if joined.grad_fn is None:
            return
        kept = _Kept(given.data_ptr(), StorageWeakRef(given.untyped_storage()), weakref.ref(held.around), held.scale)
        self._kept = [*self._alive(), kept]
        # The graph holds it as long as it can be asked for, and no longer.
        cast(Any, joined.grad_fn).metadata[kept] = held.around

    def _alive(self) -> list[_Kept]:
        return [kept for kept in self._kept if kept.around() is not None]

    def _recall(self, given: Tensor) -> _Held | None:
        alive = self._alive()
        same = [one for one in alive if one.place == given.data_ptr() and not one.given.expired()] or alive
        around = same[0].around() if len(same) == 1 else None
        if around is None:
            self.close("an activation checkpoint ends between them; with use_reentrant=False it may.")
            return None
        return _Held(around, same[0].scale, None)


class Leaves:
    """A forward pre-hook of the layer that a way leads around."""

    def __init__(self, way: Way) -> None:
        self.way = way

    def __call__(self, layer: nn.Module, args: Any) -> Any:
        """Keep the input."""
        if not args or not isinstance(args[0], Tensor):
            return None
        if self.way.closed:
            return (self.way.idle(layer, args[0]), *args[1:])
        return self.way.leave(layer, args[0])


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

    def __call__(self, *_: Any) -> None:
        """Let go."""  # the output is not named: torch.compile would look at its gradient, and warn of that
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


def _segment() -> Any:
    """The innermost hooks for what autograd saves: those of an activation checkpoint are its own."""
    if torch.compiler.is_compiling():
        return None
    hooks = cast(Any, torch._C)._autograd._top_saved_tensors_default_hooks(True)
    return None if hooks is None else hooks[0]
