"""Operations of a graph whose inside autograd does not show: what is in them, and in which order.

A compiled region is one node, whose inputs are its parameters in the order in which the forward pass uses them; so is
what TorchScript fuses after its first runs, in an order of its own.  A reentrant checkpoint is one node too, which
reaches no parameter at all: but it holds the function that it runs again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from lightning_gradwatch.measure.graph import Graph, Node, Use
from lightning_gradwatch.records.names import module_of

KINDS = {
    "CompiledFunction": "compiled regions",
    "CheckpointFunction": "reentrant checkpoints",
    "DifferentiableGraph": "TorchScript graphs",
}


@dataclass(frozen=True)
class Hidden:
    """What the opaque operations of one graph hide; everything in the order in which the gradient meets it."""

    kinds: tuple[str, ...]  # of ``KINDS``
    insides: dict[Node, tuple[str, ...]]  # parameters of each opaque operation that could be looked into
    unplaced: tuple[str, ...]  # parameters that some opaque operation must hold, and nobody knows which
    order: tuple[str, ...]  # all parameters, as they are registered

    def uses(self) -> list[Use]:
        """Each opaque operation, as a use of the parameter whose layer the gradient meets first in it."""
        return [Use(_first_weight(inside), node, True) for node, inside in self.insides.items() if inside]

    def layers_in(self, node: Node) -> tuple[str, ...]:
        """The layers inside one operation; none of one that is not opaque."""
        return _layers(self.insides.get(node, ()))

    def unplaced_before(self, target: str) -> tuple[str, ...]:
        """The layers that nobody can place, and behind them the ledger's own target where it is registered earlier."""
        if not self.unplaced:
            return ()
        behind = self.order.index(target) < min(map(self.order.index, self.unplaced))
        return _layers((*self.unplaced, *([target] if behind else [])))


def look_inside(graph: Graph, names: Mapping[int, str]) -> Hidden:
    """What the opaque operations of a graph hold.

    Args:
        graph: the graph.
        names: ``id(parameter)`` -> its name, in order of registration.
    """
    nodes = [node for node, kind in graph.families.items() if kind == "opaque"]
    if not nodes:
        return Hidden((), {}, (), ())
    kinds = tuple(dict.fromkeys(KINDS.get(graph.operations[node], "opaque operations") for node in nodes))
    visible = set(map(id, graph.leaves.values()))
    insides = {node: _visible_inside(graph, node, names) for node in nodes}
    asked = [node for node in nodes if not insides[node]]
    claims = {node: [i for i in _claims(node) if i in names and i not in visible] for node in asked}
    # A block that several checkpoints share, or a closure over the whole model, tells of none where it is.
    times = Counter(i for claim in claims.values() for i in set(claim))
    claims = {node: claim if all(times[i] == 1 for i in claim) else [] for node, claim in claims.items()}
    insides.update((node, tuple(names[i] for i in reversed(claim))) for node, claim in claims.items())
    placed = visible | {i for claim in claims.values() for i in claim}
    lost = () if all(insides.values()) else tuple(name for i, name in names.items() if i not in placed)
    return Hidden(kinds, insides, lost[::-1], tuple(names.values()))


def _first_weight(inside: tuple[str, ...]) -> str:
    top = [name for name in inside if module_of(name) == module_of(inside[0])]
    return next((name for name in top if not name.endswith("bias")), inside[0])


def _layers(parameters: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(module_of, parameters))))


def _visible_inside(graph: Graph, node: Node, names: Mapping[int, str]) -> tuple[str, ...]:
    """The parameters that stand at an operation's inputs, last used first; casts and views may stand between."""
    leaves = [leaf for child in graph.edges[node] if (leaf := _leaf(graph, child)) is not None]
    found = [id(graph.leaves[leaf]) for leaf in leaves if id(graph.leaves[leaf]) in names]
    if graph.operations[node] != "CompiledFunction":
        found.sort(key=list(names).index)
    return tuple(names[i] for i in reversed(found))


def _leaf(graph: Graph, node: Node) -> Node | None:
    while node not in graph.leaves:
        below = graph.edges[node]
        if len(below) != 1 or graph.families[node] != "view":
            return None
        node = below[0]
    return node


def _claims(node: Node) -> list[int]:
    """``id`` of the parameters of the modules that a checkpoint's function belongs to, in order of registration."""
    given = [value for value in getattr(node, "inputs", None) or () if isinstance(value, nn.Module)]
    modules = given or list(_modules_of(getattr(node, "run_function", None)))
    return list(dict.fromkeys(id(parameter) for module in modules for parameter in module.parameters()))


def _modules_of(function: Any, depth: int = 3) -> Iterator[nn.Module]:
    """The modules that a callable is, is bound to, wraps, or closes over."""
    if isinstance(function, nn.Module):
        yield function
    elif isinstance(function, (list, tuple)) and depth:
        for item in function[:1000]:
            yield from _modules_of(item, depth - 1)
    elif callable(function) and depth:
        yield from _modules_of(getattr(function, "__self__", None), 1)
        yield from _modules_of(getattr(function, "func", None), depth - 1)  # functools.partial
        for cell in getattr(function, "__closure__", None) or ():
            yield from _modules_of(_content(cell), depth - 1)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
