"""What single operations do on one measured step, wherever they stand, read from what their autograd nodes saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.measure import activations
from lightning_gradwatch.measure.attention import openness
from lightning_gradwatch.measure.fused import retention
from lightning_gradwatch.measure.graph import Graph, Node
from lightning_gradwatch.measure.places import Places
from lightning_gradwatch.measure.ranks import Share
from lightning_gradwatch.measure.silence import Silence
from lightning_gradwatch.records import OperationReading
from lightning_gradwatch.records.gates import OPERATION as FORGET

# A recurrent layer repeats its activations at every time step, and a network may have thousands of layers: so many are
# read of each, evenly spread.
MOST_GROUPS, MOST_USES = 128, 8
_READ = ("activation", "attention", "norm")
# What a multiplication may be reached through: these hand on the same numbers.
_SAME = ("view", "shape")
# 1 - gate is a gate too.
_COMPLEMENT = ("Rsub", "Sub", "Neg")


@dataclass
class _Group:
    """The same operation on the same layer's output: one, or one for each time step."""

    layer: str
    operation: str
    family: str
    nodes: list[Node] = field(default_factory=list)
    channels: bool = False  # units are channels; else the last dimension
    gates: bool = False
    uses: int = 0
    units: int = 0
    rows: int = 0
    slope: Tensor | None = None
    dead: Tensor | None = None
    silent: Tensor | None = None
    window: int = 0

    @property
    def key(self) -> str:
        return f"{self.layer}\n{self.operation}"

    def structure(self) -> object:
        return self.key, self.family, self.gates, self.units, [x is None for x in (self.slope, self.dead, self.silent)]


class Operations:
    """The operations of one step's graphs.

    Args:
        silence: what is remembered of units between steps.  Each rank remembers, and calls dead, what it sees itself; a
            share is the mean over ranks.
        batches: how many ranks see different data.
    """

    def __init__(self, silence: Silence | None = None, batches: int = 1) -> None:
        self._batches, self._silence = batches, Silence() if silence is None else silence
        self._groups: dict[str, _Group] = {}

    def read(self, graph: Graph, where: Places) -> None:
        """Read the operations of one loss's graph, before its backward; what an earlier loss of the step showed stands.

        Args:
            graph: the graph.
            where: what ``places`` says of it.
        """
        found = _find(graph, where)
        new = [group for key, group in found.items() if key not in self._groups]
        for group in _spread(new, MOST_GROUPS - len(self._groups)):
            _fill(group, graph, self._silence)
            group.nodes = []  # a node keeps the graph and all its activations alive
            if group.slope is not None or group.dead is not None or group.family == "norm":
                self._groups[group.key] = group

    def shares(self) -> list[Share]:
        """The numbers, most of them still on their devices; ``finish`` wants their values in this order."""
        groups = self._groups.values()
        counts = torch.tensor([[group.rows, group.window] for group in groups], dtype=torch.float64)
        read = [x for group in groups for x in (group.slope, group.dead, group.silent) if x is not None]
        return [Share(counts), *(Share(number) for number in read)] if groups else []

    def structure(self) -> object:
        """What ranks must have in common."""
        return [group.structure() for group in self._groups.values()]

    def finish(self, values: Iterator[list[float]]) -> tuple[OperationReading, ...]:
        """The records, loss first."""
        if not self._groups:
            return ()
        counts = iter(next(values))
        return tuple(_reading(group, counts, values, self._batches) for group in self._groups.values())


def _reading(group: _Group, counts: Iterator[float], values: Iterator[list[float]], batches: int) -> OperationReading:
    read = (None if x is None else next(values)[0] for x in (group.slope, group.dead, group.silent))
    slope, dead, silent = read
    return OperationReading(
        layer=group.layer,
        operation=group.operation,
        family=group.family,
        slope=slope,
        dead=dead,
        silent=silent,
        rows=round(next(counts) * (1 if group.family == "norm" else batches)),  # a norm sees its own rank's
        window=round(next(counts)),
        units=group.units,
        gates=group.gates,
        uses=group.uses,
    )


def _find(graph: Graph, where: Places) -> dict[str, _Group]:
    """The operations by layer and kind, loss first."""
    found: dict[str, _Group] = {}
    for node, kind in graph.families.items():
        if kind == "recurrent" and (kept := retention(node)) is not None:
            group = _Group(where.user(node), FORGET, "gate", gates=True, slope=kept[0], rows=kept[1])
            found.setdefault(group.key, group).nodes.append(node)
        if kind not in _READ:
            continue
        name = graph.operations[node]
        layer = where.user(node) if kind == "norm" else where.layer(node)
        group = _Group(layer, name, "output", channels=where.made_by(node).startswith("Conv"))
        group = found.setdefault(group.key, group)
        group.nodes.append(node)
        if kind == "norm" or node in where.behind:
            group.family = kind  # else nothing is learned between it and the loss
    for group in found.values():
        group.uses = len(group.nodes)
        if group.family == "gate":
            continue
        group.gates = group.family != "norm" and all(_gates(graph, node) for node in _spread(group.nodes, MOST_USES))
    return found


def _gates(graph: Graph, node: Node) -> bool:
    """Whether all that is done with a node's output is to multiply something computed with it."""
    stack, found = list(graph.parents[node]), False
    while stack:
        parent = stack.pop()
        name = graph.operations[parent]
        if name == "Mul" and len(set(graph.edges[parent])) == 2:
            found = True
        elif (graph.families[parent] in _SAME or name in _COMPLEMENT) and graph.parents[parent]:
            stack.extend(graph.parents[parent])
        else:
            return False
    return found


def _fill(group: _Group, graph: Graph, silence: Silence) -> None:
    if group.family == "gate":  # told already
        return
    nodes = _spread(group.nodes, MOST_USES)
    if group.family == "norm":
        group.units, group.rows = _extent(group.operation, nodes[0])
        return
    slopes = [_slope(graph, node) for node in nodes]
    known = [slope for slope in slopes if slope is not None]
    group.slope = torch.stack(known).mean() if len(known) > 1 else known[0] if known else None
    masks = [activations.dead_units(group.operation, node, group.channels) for node in nodes]
    first = next((mask for mask in masks if mask is not None), None)
    if first is None:
        return
    alike = [mask for mask in masks if mask is not None and mask[0].shape == first[0].shape]
    group.rows, group.units = sum(rows for _, rows in alike) * group.uses // len(nodes), len(first[0])
    if group.rows >= activations.BATCH:
        dead = first[0] if len(alike) == 1 else torch.stack([mask for mask, _ in alike]).all(0)
        group.dead = dead.float().mean()
        group.silent, group.window = silence.take(group.key, dead) or (None, 0)
        if len(nodes) == 1 and activations.counts_same_units(group.operation, nodes[0]):
            graph.dead[nodes[0]] = group.dead


def _slope(graph: Graph, node: Node) -> Tensor | None:
    name = graph.operations[node]
    if name not in activations.KNOWN:
        return openness(name, node)
    graph.slopes[node] = activations.slope_ratio(name, node)
    return graph.slopes[node]


def _extent(name: str, node: Any) -> tuple[int, int]:
    """Channels of a batch normalisation, and values behind one of a normalisation's means; 0 where it takes none."""
    value, means = activations.saved(node, "input"), activations.saved(node, "result1")
    if value is None or value.dim() < 2:
        return 0, 0
    trains = getattr(node, "_saved_training", True)
    count = 0 if means is None else means.numel()
    return value.shape[1] if "Batch" in name else 0, value.numel() // count if trains and count else 0


def _spread(items: list[Any], most: int) -> list[Any]:
    """At most so many of them, evenly spread, first and last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / max(1, most - 1))] for i in range(max(0, most))]
