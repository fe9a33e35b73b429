"""Parameters that get a gradient and that no optimizer has: they stay as they are, whatever they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.measure.graph import Graph
from lightning_gradwatch.measure.norms import dense
from lightning_gradwatch.measure.ranks import Share

# Each costs a pass over its gradient; a model that was forgotten as a whole is told by its first parameters.
_MOST = 64


class Strays:
    """Looks after every backward of a step at the parameters that its graph reached."""

    def __init__(self) -> None:
        self.reached: dict[str, Tensor] = {}  # the parameters of the backward at hand
        self._counts: dict[str, Tensor] = {}

    def reaches(self, graph: Graph, names: Mapping[int, str]) -> None:
        """A backward through this graph is about to start; ``names`` says ``id(parameter)`` -> its name."""
        self.reached = {names[id(leaf)]: leaf for leaf in graph.leaves.values() if id(leaf) in names}

    def look(self, optimizers: list[Any], names: Mapping[int, str], wrapped: bool = False) -> None:
        """A backward is over.

        Args:
            optimizers: all of the fit.
            names: ``id(parameter)`` -> its name.
            wrapped: whether an engine is wrapped around the model, which may own its parameters in a form of its own.
        """
        held = [id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
        owned = {names[key] for key in held if key in names}
        if owned or not wrapped:
            reached = [name for name in dict.fromkeys(names.values()) if name in self.reached]
            fed = [(name, self.reached[name].grad) for name in reached if name not in owned]
            for name, gradient in [(name, gradient) for name, gradient in fed if gradient is not None][:_MOST]:
                count = torch.count_nonzero(dense(gradient))
                self._counts[name] = count if name not in self._counts else torch.maximum(count, self._counts[name])
        self.reached = {}

    def shares(self) -> list[Share]:
        """Numbers still on their devices; ``finish`` wants their values in this order."""
        return [Share(count) for count in self._counts.values()]

    def structure(self) -> object:
        """What ranks must have in common."""
        return list(self._counts)

    def finish(self, values: Iterator[list[float]]) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name in self._counts if next(values)[0] > 0)
