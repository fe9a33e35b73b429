"""Which layer each operation of a graph acts on, and what lies behind a layer, seen from the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter

from lightning_gradwatch.measure.graph import Graph, Node
from lightning_gradwatch.records.names import module_of

# What makes features of its own.  A norm, a bias or a scale changes those of the layer below it.
_LAYERS = ("linear", "recurrent", "opaque")


@dataclass(frozen=True)
class Places:
    """Where the operations of one graph stand."""

    layers: dict[Node, tuple[int, str, str]]  # how many operations away, the nearest layer, and its operation
    own: dict[Node, str]  # the module whose parameters an operation uses itself
    behind: set[Node]  # what has parameters between itself and the loss

    def layer(self, node: Node) -> str:
        """The module whose output an operation acts on; "" where unknown."""
        return self.layers.get(node, (0, "", ""))[1]

    def user(self, node: Node) -> str:
        """The module whose parameters an operation uses itself; of one without any, the one whose output it acts on."""
        return self.own[node] if node in self.own else self.layer(node)

    def made_by(self, node: Node) -> str:
        """The operation of that layer."""
        return self.layers.get(node, (0, "", ""))[2]


def places(graph: Graph, names: Mapping[int, str]) -> Places:
    """Two walks over a graph: from the leaves up for the layers, from the loss down for what lies behind them.

    Args:
        graph: the graph.
        names: ``id(parameter)`` -> its name.
    """
    carried: dict[Node, str] = {}  # a parameter, or a view of one
    layers: dict[Node, tuple[int, str, str]] = {}
    own: dict[Node, str] = {}
    carried.update((node, names[id(tensor)]) for node, tensor in graph.leaves.items() if id(tensor) in names)
    families, edges, leaves = graph.families, graph.edges, graph.leaves
    for node in reversed(graph.order):
        if node in leaves:
            continue
        below = edges[node]
        parameters = [carried[child] for child in below if child in carried]
        nearest = _nearest([layers[child] for child in below if child in layers])
        if parameters and nearest is None and families[node] in ("view", "parameter"):
            carried[node] = parameters[0]
            continue
        if parameters:
            own[node] = module_of(parameters[-1])
        if parameters and (nearest is None or families[node] in _LAYERS):
            layers[node] = (0, own[node], graph.operations[node])
        elif nearest is not None:
            layers[node] = (nearest[0] + 1, nearest[1], nearest[2])
    return Places(layers, own, _behind(graph, own))


def _nearest(found: list[tuple[int, str, str]]) -> tuple[int, str, str] | None:
    """The first of those that are fewest operations away."""
    if len(found) < 2:  # as nearly everywhere
        return found[0] if found else None
    return min(found, key=itemgetter(0))


def _behind(graph: Graph, own: Mapping[Node, str]) -> set[Node]:
    behind: set[Node] = set()
    for node in graph.order:
        if node in own or node in behind:
            behind.update(graph.edges[node])
    return behind
