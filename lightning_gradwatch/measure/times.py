"""Gradient through time: how much arrives at every use of a layer that is fed with what it made before.

Where autograd shows the steps (plain RNNs and GRUs on a CPU, packed sequences, loops over cells or layers by hand) a
hook on each use of the recurrent weight keeps one norm: that of the gradient of what it gives, before the activation.
A fused layer (LSTMs on a CPU, everything under cuDNN) is one node: there the gradient of the sequence that it is given
tells, where that sequence needs one.  The first layer over raw data has no such gradient, and no profile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.anatomy.sharding import activation_copies, local
from lightning_gradwatch.measure.graph import Graph, Node, uses
from lightning_gradwatch.measure.norms import joint_l2
from lightning_gradwatch.measure.prehooks import prehook
from lightning_gradwatch.measure.ranks import Share
from lightning_gradwatch.records import TimeProfile
from lightning_gradwatch.records.names import module_of

# Fewer uses than this are no time.
_FEWEST = 4
_MOST_STEPS, _MOST_LAYERS = 64, 8
_FUSED = ("MkldnnRnnLayer", "CudnnRnn", "MiopenRnn")
_ONE_WAY = "MkldnnRnnLayer"  # one node for each direction; time always comes first


class Profile:
    """One layer's gradient at each of its uses, first step first, while the backward runs."""

    def __init__(self, ledger: str, layer: str, scale: float, copies: int) -> None:
        self.ledger, self.layer, self._scale, self._copies = ledger, layer, scale, copies
        self.steps = 0
        self.error: Exception | None = None
        self.norms: list[Tensor | None] = []
        self._handles: list[Any] = []

    def follow_uses(self, nodes: Sequence[Node]) -> None:
        """Keep a norm at each of these operations, or at some of them, evenly spread."""
        self.steps, chosen = len(nodes), _spread(len(nodes))
        self.norms = [None] * len(chosen)
        self._handles = [nodes[place].register_prehook(prehook(self, i, self._take)) for i, place in enumerate(chosen)]

    def _take(self, index: int, gradients: list[Tensor]) -> None:
        self.norms[index] = joint_l2(gradients)
        self._copies = activation_copies(gradients[0], self._copies)

    def follow_input(self, node: Any, time: int, backwards: bool) -> None:
        """Keep the norms of the gradient of what a fused layer is given, step by step.

        Args:
            node: its node.
            time: which dimension of its input is time.
            backwards: whether it reads the sequence from its end.
        """

        def read(inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor | None, ...]) -> None:
            if self.norms or self.error is not None or not inputs or inputs[0] is None or inputs[0].dim() != 3:
                return
            try:
                rows = local(inputs[0]).movedim(time, 0)
                rows = rows.flip(0) if backwards else rows
                self.steps = len(rows)
                some = rows[_spread(len(rows))]
                wide = torch.float32 if some.device.type == "mps" else torch.float64
                self.norms = [torch.linalg.vector_norm(some.flatten(1), dim=1, dtype=wide)]
            except Exception as error:
                self.error = error

        self._handles = [node.register_hook(read)]

    def close(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def shares(self) -> list[Share]:
        """The numbers still on their devices; none where the backward did not pass everywhere."""
        norms = [norm.reshape(-1) for norm in self.norms if norm is not None]
        if not norms or len(norms) < len(self.norms) or self.error is not None:
            return []
        whole = torch.cat([norm.double() for norm in norms]) if len(norms) > 1 else norms[0]
        count = whole.numel()
        return [Share(whole, roots=count, copies=(self._copies,) * count, mean=True)] if self.steps >= _FEWEST else []

    def structure(self) -> object:
        """What ranks must have in common."""
        return self.ledger, self.layer, self.steps, [share.size for share in self.shares()]

    def finish(self, values: Iterator[list[float]]) -> TimeProfile | None:
        """The record; None where there is none."""
        if self.error is not None:
            raise self.error
        if not self.shares():
            return None
        decades = tuple(_log10(norm) - math.log10(self._scale) for norm in next(values))
        return TimeProfile(ledger=self.ledger, layer=self.layer, decades=decades, steps=self.steps)


def open_profiles(
    graph: Graph, names: Mapping[int, str], ledger: str = "loss", scale: float = 1.0, group: int = 1
) -> list[Profile]:
    """Start the profiles of one loss's graph.

    Args:
        graph: the graph.
        names: ``id(parameter)`` -> its name.
        ledger: the name of the loss's ledger.
        scale: what the loss is multiplied by before its backward.
        group: how many ranks compute this very loss together.

    Example:
        >>> from lightning_gradwatch.measure.graph import walk
        >>> layer, x = torch.nn.Linear(1, 1, bias=False), torch.ones(1, 1)
        >>> with torch.no_grad():
        ...     _ = layer.weight.fill_(0.1)
        >>> for _ in range(4):
        ...     x = layer(x)
        >>> [profile] = open_profiles(walk(x.grad_fn), {id(layer.weight): "rnn.weight"})
        >>> x.backward()
        >>> numbers = iter([share.tensor.tolist() for share in profile.shares()])
        >>> [round(decades) for decades in profile.finish(numbers).decades]
        [-3, -2, -1, 0]
    """
    found: list[Profile] = []
    for name, nodes in _recurrent(graph, names):
        profile = Profile(ledger, module_of(name), scale, group)
        profile.follow_uses(nodes)
        found.append(profile)
        if len(found) == _MOST_LAYERS:
            return found
    for node in [node for node, kind in graph.operations.items() if kind in _FUSED and _has_sequence(kind, node)]:
        profile = Profile(ledger, _layer_of(graph, node, names), scale, group)
        first = graph.operations[node] != _ONE_WAY and getattr(node, "_saved_batch_first", False)
        profile.follow_input(node, int(first), bool(getattr(node, "_saved_reverse", False)))
        found.append(profile)
        if len(found) == _MOST_LAYERS:
            break
    return found


def _has_sequence(kind: str, node: Node) -> bool:
    """Whether a fused layer reads in one direction a sequence that needs a gradient."""
    needed = node.next_functions[0][0] is not None
    return needed and (kind == _ONE_WAY or not getattr(node, "_saved_bidirectional", False))


def _recurrent(graph: Graph, names: Mapping[int, str]) -> Iterator[tuple[str, list[Node]]]:
    """The weights that are used again on what their own earlier use led to, and their uses, first step first."""
    for leaf, weight in graph.leaves.items():
        name = names.get(id(weight))
        if name is None or weight.dim() < 2 or (len(graph.parents[leaf]) < _FEWEST and not _fans_out(graph, leaf)):
            continue
        nodes = [use.node for use in uses(graph, leaf, name) if use.is_layer]
        nodes.sort(key=lambda node: -graph.distance[node])
        if len({graph.distance[node] for node in nodes}) >= _FEWEST and _feeds_itself(graph, leaf, nodes):
            yield name, nodes


def _fans_out(graph: Graph, leaf: Node) -> bool:
    """Whether the views of a parameter are used often enough."""
    node = leaf
    while len(graph.parents[node]) == 1:
        node = graph.parents[node][0]
        if graph.families[node] not in ("view", "parameter", "other"):
            return False
    return len(graph.parents[node]) >= _FEWEST


def _feeds_itself(graph: Graph, leaf: Node, nodes: Sequence[Node]) -> bool:
    """Whether what the last use works on comes from an earlier use."""
    earlier, seen = set(nodes[:-1]), {leaf}
    stack = list(graph.edges[nodes[-1]])
    while stack:
        node = stack.pop()
        if node in earlier:
            return True
        if node not in seen:
            seen.add(node)
            stack.extend(graph.edges[node])
    return False


def _layer_of(graph: Graph, node: Node, names: Mapping[int, str]) -> str:
    leaves = [graph.leaves[child] for child in graph.edges[node] if child in graph.leaves]
    return next((module_of(names[id(leaf)]) for leaf in leaves if id(leaf) in names), "")


def _spread(count: int) -> list[int]:
    """At most so many places, evenly spread, the first and the last among them."""
    most = min(count, _MOST_STEPS)
    return [round(i * (count - 1) / max(1, most - 1)) for i in range(most)]


def _log10(norm: float) -> float:
    return math.log10(norm) if norm > 0 else -math.inf if norm == 0 else norm  # nan stays nan
