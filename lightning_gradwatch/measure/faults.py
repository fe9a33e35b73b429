"""The first operation that made a number that is not finite, on a step on which there is one.

Operations that are able to (a logarithm, a root, a division) are looked at on every measured step, since what they
saved is gone afterwards: three numbers each, in the step's one copy.  Where the loss is known not to be finite the
whole graph is walked, too, from the leaves up: an overflow may happen anywhere, and data or weights may be broken.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from lightning_gradwatch.anatomy.sharding import local
from lightning_gradwatch.measure.activations import is_there, saved
from lightning_gradwatch.measure.graph import Graph, Node
from lightning_gradwatch.measure.places import Places
from lightning_gradwatch.measure.ranks import Share
from lightning_gradwatch.measure.singular import SINGULAR, look
from lightning_gradwatch.records import Fault
from lightning_gradwatch.records.names import module_of

_MOST = 32
# These hold infinities on purpose.
_MASKS = ("attn_mask", "attn_bias", "mask", "weight_mask")


class Faults:
    """Watches one step's graphs for it."""

    def __init__(self) -> None:
        self._hazards: list[tuple[str, str, Tensor]] = []  # loss first: layer, operation, what ``look`` says
        self._found: Fault | None = None

    def read(self, graph: Graph, names: Mapping[int, str], where: Places, *, broken: bool) -> None:
        """Look at one loss's graph before its backward.

        Args:
            graph: the graph.
            names: ``id(parameter)`` -> its name.
            where: its places.
            broken: whether the loss is known not to be finite.
        """
        able = [node for node, name in graph.operations.items() if name in SINGULAR]
        for node in able[: _MOST - len(self._hazards)]:
            seen = look(graph.operations[node], node)
            if seen is not None:
                self._hazards.append((where.layer(node), graph.operations[node], seen))
        if broken and self._found is None:
            self._found = _origin(graph, names, where)

    def shares(self) -> list[Share]:
        """The numbers still on their devices; ``finish`` wants their values in this order."""
        return [Share(seen) for _, _, seen in self._hazards]

    def structure(self) -> object:
        """What ranks must have in common."""
        return [(layer, operation) for layer, operation, _ in self._hazards]

    def finish(self, values: Iterator[list[float]], loss: float | None, *, alone: bool) -> Fault | None:
        """What it was, of a step on which some number was not finite.

        Args:
            values: of ``shares``.
            loss: the step's loss.
            alone: whether there is one rank; of several, each of which has operands of its own, only the place is told.
        """
        forward = loss is not None and not math.isfinite(loss)
        if forward and alone and self._found is not None:
            return self._found
        seen = [next(values) for _ in self._hazards]
        told = [*zip(self._hazards, seen, strict=True)]
        # Forward the deepest one comes first, backward the one nearest to the loss.
        for (layer, operation, _), (breaks, steep, operand) in reversed(told) if forward else told:
            if (breaks if forward else steep) > 0:
                known = alone and not math.isnan(operand)
                return Fault(layer=layer, operation=operation, forward=forward, operand=operand if known else None)
        return None


def _origin(graph: Graph, names: Mapping[int, str], where: Places) -> Fault | None:
    """The deepest operation that is given finite numbers and gives others."""
    for node in reversed(graph.order):
        name = graph.operations[node]
        if node in graph.leaves:
            weight = graph.leaves[node]
            if id(weight) in names and _is_bad(local(weight)):
                layer = module_of(names[id(weight)])
                return Fault(layer=layer, operation=name, forward=True, operand=math.nan)
            continue
        inputs, results = _kept(node)
        layer = where.user(node)
        if any(map(_is_bad, inputs)):
            return _before(graph, node, where)
        seen = look(name, node)
        if seen is not None and seen[0] > 0:
            operand = float(seen[2])
            return Fault(layer=layer, operation=name, forward=True, operand=None if math.isnan(operand) else operand)
        if any(map(_is_bad, results)):
            return Fault(layer=layer, operation=name, forward=True)
    return None


def _before(graph: Graph, node: Node, where: Places) -> Fault:
    """An operation is given broken numbers, and nothing below it kept how: what lies below, or else the data."""
    below = [child for child in graph.edges[node] if child in where.layers]
    while below and graph.families[below[0]] == "view":
        below = [child for child in graph.edges[below[0]] if child in where.layers]
    if below:
        return Fault(layer=where.layer(below[0]), operation=graph.operations[below[0]], forward=True)
    layer = where.user(node)
    return Fault(layer=layer, operation=graph.operations[node], forward=True, operand=math.nan)


def _kept(node: Any) -> tuple[list[Tensor], list[Tensor]]:
    """What a node keeps of its inputs, and of its results."""
    inputs: list[Tensor] = []
    results: list[Tensor] = []
    for attribute in _attributes(type(node)):
        value = saved(node, attribute)
        if value is not None and value.is_floating_point():
            (results if attribute.startswith(("result", "output")) else inputs).append(value)
    return inputs, results


@functools.lru_cache(maxsize=512)
def _attributes(kind: type) -> tuple[str, ...]:
    raw = [name.removeprefix("_raw_saved_") for name in dir(kind) if name.startswith("_raw_saved_")]
    return tuple(name for name in raw if name not in _MASKS and not name.startswith("running_"))


def _is_bad(value: Tensor) -> bool:
    """Whether there is a NaN or an infinity; a negative one may hide what attention is not to see."""
    return value.is_floating_point() and is_there(value) and bool((value.isnan() | (value == math.inf)).any())
