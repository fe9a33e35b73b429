"""A way around every layer, or around every other one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from lightning_gradwatch.records import Kind
from lightning_gradwatch.verify.interventions.base import Change, Scene, in_backward, some

_Join = Callable[[Tensor, Tensor], Tensor]


def ways_around(scene: Scene) -> Change | None:
    """Where too little arrives, a skip connection around each layer; where too much does, half as many layers.

    A layer here is what happens between the input of one and the input of the next, activations and normalisations
    included, where both inputs have one shape: so that it makes no difference how the network is divided into modules.
    """
    if scene.finding.kind is Kind.VANISHING:
        return _Walk(scene, lambda now, before: now + before, every=1).change("a skip connection added around {}")
    return _Walk(scene, lambda now, before: before, every=2).change("{} left out")


class _Walk:
    """Follows the layers of the path in the order in which they run."""

    def __init__(self, scene: Scene, join: _Join, every: int) -> None:
        self._join, self._every = join, every
        self._last: Tensor | None = None  # what the layer before was given
        self._before: dict[int, Tensor | None] = {}  # of each layer, for checkpoints that compute it again
        self._met = self.count = 0
        self.layers = [scene.modules[name] for name in _chain(scene) if name in scene.modules]
        for layer in self.layers:
            layer.register_forward_pre_hook(self._passes)

    def change(self, form: str) -> Change | None:
        if len(self.layers) < 2:
            return None
        return Change(told=lambda: form.format(some(self.count, "layer")) if self.count else "")

    def _passes(self, module: Any, args: tuple[Any, ...]) -> Any:
        given = args[0] if args else None
        if not isinstance(given, Tensor):
            return None
        if not in_backward():
            self._before[id(module)] = self._beside(given)
        before = self._before.get(id(module))
        joined = given if before is None else self._join(given, before)
        self._last = joined
        return None if before is None else (joined, *args[1:])

    def _beside(self, given: Tensor) -> Tensor | None:
        """What the layer before was given, if there is to be a way around it."""
        before = self._last
        if before is None or before.shape != given.shape or before.dtype != given.dtype:
            return None
        self._met += 1
        if self._met % self._every:
            return None
        self.count += 1
        return before


def _chain(scene: Scene) -> list[str]:
    """The layers that stand alone on the path and are used once."""
    alone = [s.modules[0] for s in scene.path if s.family == "linear" and len(s.modules) == 1 and not s.reused]
    target = scene.ledger.target_layer if scene.ledger else ""
    return [*dict.fromkeys([*alone, *([target] if target else [])])]
