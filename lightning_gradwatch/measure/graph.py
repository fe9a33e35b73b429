"""Walks on an autograd graph: order, distance, trunk.  Never recursive, so that depth is no limit.

A graph is its nodes in topological order (the loss first) and their edges; torch keeps one Python object per node
alive as long as we hold it, so that nodes are usable as dictionary keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from lightning_gradwatch.measure.operations import family, operation

Node = Any  # torch.autograd.graph.Node

# Path counts grow beyond 2**2000 in a residual network; modulo a large prime, equality survives with certainty enough
# (a false equality has a chance of about 4e-19).
_PRIME = (1 << 61) - 1


@dataclass(frozen=True)
class Graph:
    """The part of an autograd graph that one loss reaches."""

    order: tuple[Node, ...]  # topological, the loss first
    edges: dict[Node, tuple[Node, ...]]  # towards the leaves; an input that is used twice stands twice

    @cached_property
    def operations(self) -> dict[Node, str]:
        """The name of each node's operation."""
        return {node: operation(node.name()) for node in self.order}

    @cached_property
    def families(self) -> dict[Node, str]:
        """The family of each node's operation."""
        return {node: family(name) for node, name in self.operations.items()}

    @cached_property
    def leaves(self) -> dict[Node, Any]:
        """The nodes that hold a tensor to be given its gradient, and that tensor."""
        edges = self.edges
        return {node: node.variable for node in self.order if not edges[node] and hasattr(node, "variable")}

    @cached_property
    def slopes(self) -> dict[Node, Any]:
        """What was read of activations' slopes so far, so that nobody reads one twice."""
        return {}

    @cached_property
    def dead(self) -> dict[Node, Any]:
        """What was read so far of the shares of their units that are dead."""
        return {}

    @cached_property
    def parents(self) -> dict[Node, list[Node]]:
        """The reversed edges, towards the loss."""
        parents: dict[Node, list[Node]] = {node: [] for node in self.order}
        for node in self.order:
            for child in self.edges[node]:
                parents[child].append(node)
        return parents

    @cached_property
    def distance(self) -> dict[Node, int]:
        """Longest number of edges from the loss to each node: depth as the backward pass meets it."""
        distance = dict.fromkeys(self.order, 0)
        for node in self.order:
            further = distance[node] + 1
            for child in self.edges[node]:
                distance[child] = max(distance[child], further)
        return distance


def walk(root: Node) -> Graph:
    """The graph below one node."""
    edges: dict[Node, tuple[Node, ...]] = {}
    finished: list[Node] = []
    stack: list[Node | None] = [root]
    while stack:
        node = stack.pop()
        if node is None:  # all that is below the node under it is done
            finished.append(stack.pop())
        elif node not in edges:
            below = edges[node] = tuple([child for child, _ in node.next_functions if child is not None])
            stack += (node, None)
            stack += [child for child in below if child not in edges]
    return Graph(tuple(reversed(finished)), edges)


@dataclass(frozen=True)
class Trunk:
    """The nodes that every path from the loss to a target passes, loss first, target last."""

    nodes: tuple[Node, ...]
    splits: tuple[bool, ...]  # for each node: whether the gradient takes several ways to the next one


def trunk(graph: Graph, target: Node) -> Trunk:
    """The trunk, by counting paths.

    A node is on all paths when (paths loss -> node) x (paths node -> target) = (paths loss -> target).
    """
    edges = graph.edges
    down = dict.fromkeys(graph.order, 0)
    down[graph.order[0]] = 1
    for node in graph.order:
        here = down[node]
        for child in edges[node]:
            down[child] = (down[child] + here) % _PRIME
    up = {target: 1}  # of those alone that lead there
    for node in reversed(graph.order):
        if node is not target:
            ways = sum([up[child] for child in edges[node] if child in up]) % _PRIME
            if ways:
                up[node] = ways
    total = up.get(graph.order[0], 0)
    nodes = tuple([node for node in graph.order if node in up and down[node] * up[node] % _PRIME == total])
    splits = tuple(down[here] != down[there] for here, there in pairwise(nodes))
    return Trunk(nodes, (*splits, False))


_LAYERS = ("linear", "norm", "recurrent", "opaque")


def consumers(graph: Graph, leaf: Node, parametrized: bool = False) -> dict[Node, bool]:
    """The operations that use a parameter, past the views and casts that stand before them.

    Args:
        graph: the graph.
        leaf: the parameter's AccumulateGrad node.
        parametrized: the parameter is computed on before it is used (weight_norm, spectral_norm): climb to the first
            operation that is one of a layer.

    Returns:
        Operation -> whether it is a layer's: a penalty on the weights (their square, or their product with themselves
        in an orthogonality term) uses the parameter too, and may lie farther from the loss than the layer.
    """
    found: dict[Node, bool] = {}
    stack = [(leaf, node) for node in graph.parents[leaf]]
    families = graph.families
    seen: set[Node] = set()
    while stack:
        below, node = stack.pop()
        kind = families[node]
        is_layer = kind in _LAYERS and (not parametrized or _takes_as_weight(graph, node, below))
        between = kind in ("view", "parameter") or (parametrized and not is_layer)
        if between and graph.parents[node]:
            if node not in seen:
                seen.add(node)
                stack.extend((node, above) for above in graph.parents[node])
        else:
            found[node] = is_layer and node not in found
    return found


def _takes_as_weight(graph: Graph, node: Node, below: Node) -> bool:
    """Whether an operation of a layer uses what comes from below as its weight; else it still computes that weight.

    Matrices are multiplied in parametrizations too (low rank, orthogonal, power iteration), but a layer transposes its
    weight first, and a convolution takes it in the second place.
    """
    name = graph.operations[node]
    if name == "Convolution":
        return node.next_functions[1][0] is below
    return graph.operations[below] == "T" if name in ("Addmm", "Mm") else name != "Mv"


@dataclass(frozen=True)
class Use:
    """One operation that uses one parameter."""

    parameter: str
    node: Node
    is_layer: bool  # the operation is one of a layer, not of a penalty on the weights


def uses(graph: Graph, leaf: Node, parameter: str) -> list[Use]:
    """Where a parameter is used, given its AccumulateGrad node and its name."""
    parametrized = ".parametrizations." in parameter or parameter.endswith("_orig")  # in torch's old and new way
    found = consumers(graph, leaf, parametrized)
    return [Use(parameter, node, is_layer) for node, is_layer in found.items()]


def deepest(graph: Graph, candidates: Iterable[Use]) -> Use | None:
    """The use farthest from the loss; of several equally far ones the first; None: there are none."""
    every = list(candidates)
    layers = [use for use in every if use.is_layer] or every
    return max(layers, key=lambda use: graph.distance[use.node], default=None)
