"""Cuts a graph along its trunk into segments and says what each is made of."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lightning_gradwatch.measure.graph import Graph, Node, Trunk
from lightning_gradwatch.measure.operations import family
from lightning_gradwatch.records import Operation
from lightning_gradwatch.records.names import common_module, module_of

_UNCOUNTED = ("view", "parameter")


@dataclass
class Cut:
    """One segment before it was measured: from its first node up to the next cut's."""

    first: Node
    nodes: list[Node]  # its operations, the first included; views and parameters left out
    parameters: list[str]
    modules: tuple[str, ...]
    splits: bool  # the gradient splits and joins again inside
    label: str = ""
    layer: str = ""
    reused: bool = False
    operations: tuple[Operation, ...] = ()
    family: str = "other"
    formats: tuple[str, ...] = ()  # number formats of the gradients inside, where there may be several


def cut(
    graph: Graph, trunk: Trunk, names: Mapping[int, str], insides: Mapping[Node, Sequence[str]] | None = None
) -> list[Cut]:
    """The segments of a trunk, loss first; the target, whose output ends the last one, is not a segment of its own.

    Args:
        graph: the graph.
        trunk: its trunk.
        names: ``id(parameter)`` -> its name.
        insides: the parameters inside each opaque operation, in the order in which the gradient meets them.
    """
    last = len(trunk.nodes) - 1
    # A view does not change the size of a gradient: it belongs to the segment before it.
    starts = [i for i in range(last) if i == 0 or graph.families[trunk.nodes[i]] != "view"]
    stops, claimed = set(trunk.nodes), set[Node]()
    cuts = []
    for start, end in pairwise([*starts, last]):  # none where the loss comes out of the target's operation itself
        nodes, leaves = _collect(graph, trunk.nodes[start:end], stops, claimed)
        inside = [name for node in nodes for name in insides.get(node, ())] if insides else []
        parameters = list(dict.fromkeys([*inside, *parameters_of(graph, leaves, names)]))
        modules = tuple(dict.fromkeys(filter(None, map(module_of, parameters))))
        cuts.append(Cut(trunk.nodes[start], nodes, parameters, modules, any(trunk.splits[start:end])))
    _describe(graph, cuts)
    return cuts


def parameters_of(graph: Graph, leaves: Sequence[Node], names: Mapping[int, str]) -> list[str]:
    """The names of the parameters at those leaves."""
    keys = [id(graph.leaves[leaf]) for leaf in leaves]
    return [names[key] for key in keys if key in names]


def _collect(
    graph: Graph, members: Sequence[Node], stops: set[Node], claimed: set[Node]
) -> tuple[list[Node], list[Node]]:
    """What hangs on these trunk nodes before the next one: (operations, parameter leaves).

    An operation that several segments reach belongs to the one nearest to the loss, so that the work stays linear;
    leaves and the views before them may be claimed again: shared weights name every place they are used in.
    """
    nodes: list[Node] = []
    leaves: list[Node] = []
    stack, here = list(reversed(members)), set(members)
    families, edges, known = graph.families, graph.edges, graph.leaves
    while stack:
        node = stack.pop()
        kind = families[node]
        if kind == "parameter" and node in known:
            leaves.append(node)
        elif kind not in _UNCOUNTED:
            claimed.add(node)
            nodes.append(node)
        for child in edges[node]:
            if child not in stops and child not in here and child not in claimed:
                here.add(child)
                stack.append(child)
    return nodes, leaves


def _describe(graph: Graph, cuts: list[Cut]) -> None:
    uses = Counter(name for piece in cuts for name in set(piece.parameters))
    everywhere = Counter(module for piece in cuts for module in piece.modules)
    layer = ""
    for piece in reversed(cuts):  # what has no parameters acts on the output of the next deeper layer
        piece.layer = layer = _layer(piece.modules, everywhere) or layer
        piece.reused = any(uses[name] > 1 for name in piece.parameters)
        piece.operations = _operations(tuple([graph.operations[node] for node in piece.nodes]))
        piece.family = _family_of(piece)
        piece.label = _label(piece)


def adopt(cuts: list[Cut], target_layer: str) -> None:
    """Give the segments below the deepest used layer to the target layer, whose output they act on."""
    for piece in reversed(cuts):
        if piece.layer:
            break
        piece.layer = target_layer
        piece.label = _label(piece)


def _layer(modules: tuple[str, ...], everywhere: Counter[str]) -> str:
    """One module's name for a segment: the common parent of its modules, if it holds nothing else of the trunk."""
    if len(modules) < 2:
        return modules[0] if modules else ""
    prefix = common_module(modules)
    shared = [m for m in everywhere if m not in modules and (m == prefix or m.startswith(prefix + "."))]
    return modules[-1] if not prefix or shared else prefix


@functools.lru_cache(maxsize=1024)
def _operations(names: tuple[str, ...]) -> tuple[Operation, ...]:
    counts = Counter(names)
    return tuple(Operation(name=n, family=family(n), share=c / len(names)) for n, c in counts.most_common())


def _family_of(piece: Cut) -> str:
    families = {item.family for item in piece.operations}
    if piece.splits and len(piece.nodes) > 1:
        return "block"
    return families.pop() if len(families) == 1 else "block" if families else "other"


def _label(piece: Cut) -> str:
    kinds = "+".join(item.name for item in piece.operations[:3]) or "view"
    if piece.modules:
        return f"{piece.layer} ({kinds})"
    return f"{kinds} after {piece.layer}" if piece.layer else kinds
