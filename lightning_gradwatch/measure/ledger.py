"""The gradient ledger: how many decades of gradient each stretch of one backward pass loses or gains.

    decades(segment) = log10 ||dL/d(input of the segment)|| - log10 ||dL/d(output of the segment)||

Read from the autograd graph itself: no hook on a module or parameter, no second backward.  ``open_ledger`` before the
backward, ``close`` after it, ``finish`` once the numbers are on the host.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lightning_gradwatch.anatomy.sharding import activation_copies, local, plain_copies
from lightning_gradwatch.measure import activations
from lightning_gradwatch.measure.formats import dtype_name, formats_in
from lightning_gradwatch.measure.graph import Graph, Node, Use, deepest, trunk, uses, walk
from lightning_gradwatch.measure.inputs import given
from lightning_gradwatch.measure.norms import joint_l2
from lightning_gradwatch.measure.opaque import Hidden, look_inside
from lightning_gradwatch.measure.prehooks import prehook
from lightning_gradwatch.measure.ranks import Share
from lightning_gradwatch.measure.segments import Cut, adopt, cut
from lightning_gradwatch.records import Ledger, Segment
from lightning_gradwatch.records.formats import narrowest
from lightning_gradwatch.records.names import module_of


class OpenLedger:
    """A ledger between the forward and the backward pass: hooks on the trunk's nodes, one number each."""

    def __init__(
        self,
        name: str,
        target: str,
        cuts: list[Cut],
        end: Node,
        copies: list[int],
        *,
        hidden: Hidden,
        ranks: int,
        scale: float,
        graph: Graph,
    ) -> None:
        self.name, self.target, self._scale = name, target, scale
        self._kinds, self._below, self._unplaced = hidden.kinds, hidden.layers_in(end), hidden.unplaced_before(target)
        self._cuts, self._ranks = cuts, ranks
        self._slopes = [_mean([_slope(graph, node) for node in _activations(graph, piece)]) for piece in cuts]
        self._dead = [_mean([_dead(graph, node) for node in _activations(graph, piece)]) for piece in cuts]
        self._given = [given(end)]
        nodes = [piece.first for piece in cuts] + [end]
        self._entries: list[tuple[str, int]] = [("", 0)] * len(nodes)  # number format and elements of what enters
        self.norms: list[Tensor | None] = [None] * len(nodes)
        self._single = [False] * len(nodes)  # whether it is the gradient of the one number that is the loss
        self._copies = copies  # for each of them on how many ranks of one data-parallel group the same part lies
        self.error: Exception | None = None
        self._handles = [node.register_prehook(prehook(self, i, self._take)) for i, node in enumerate(nodes)]
        for piece in cuts:  # a node keeps the graph and all its activations alive
            piece.first, piece.nodes = None, []

    def _take(self, index: int, gradients: list[Tensor]) -> None:
        self.norms[index] = joint_l2(gradients)
        self._entries[index] = (dtype_name(gradients[0].dtype), sum(local(g).numel() for g in gradients))
        self._copies[index] = activation_copies(gradients[0], self._copies[index])
        self._single[index] = all(gradient.dim() == 0 for gradient in gradients)

    def close(self) -> None:
        """Take the hooks away; safe at any time, also twice."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def pending(self) -> list[Tensor]:
        """The 0-d tensors still on their device; ``finish`` wants their values in this order."""
        readings = [*self.norms, *self._slopes, *self._dead, *self._given]
        return [reading for reading in readings if reading is not None]

    def shares(self) -> list[Share]:
        """``pending``, with how the ranks' numbers make the whole."""
        norms = zip(self.norms, self._copies, self._single, strict=True)
        return [
            *(
                # Every rank has a loss of its own, and one process has one: their gradients do not add up.
                Share(norm, roots=1) if is_single else Share(norm, roots=1, copies=(copies,), mean=True)
                for norm, copies, is_single in norms
                if norm is not None
            ),
            *(Share(reading) for reading in (*self._slopes, *self._dead) if reading is not None),
            *(Share(reading, roots=1) for reading in self._given if reading is not None),
        ]

    def structure(self) -> object:
        """What ranks must have in common for their numbers to be of one ledger."""
        read = [[reading is None for reading in part] for part in (self.norms, self._slopes, self._dead, self._given)]
        return self.name, self.target, self._kinds, [(piece.label, piece.modules) for piece in self._cuts], read

    def _size(self, index: int) -> int:
        """How many elements that gradient has on all ranks together."""
        size = self._entries[index][1]
        return size if self._single[index] else size * self._ranks // self._copies[index]

    def finish(self, values: Sequence[float]) -> Ledger | None:
        """The record; None when the backward did not pass the whole trunk (it raised, or was cut short)."""
        if self.error is not None:
            raise self.error
        if any(norm is None for norm in self.norms):
            return None
        queue = iter(values)
        logs = [_log10(next(queue)) - math.log10(self._scale) for _ in self.norms]
        slopes = [None if s is None else next(queue) for s in self._slopes]
        dead = [None if d is None else next(queue) for d in self._dead]
        [given_rms] = [None if g is None else next(queue) for g in self._given]
        count = max(1, len(self._cuts))
        segments = tuple(
            Segment(
                label=piece.label,
                layer=piece.layer,
                modules=piece.modules,
                operations=piece.operations,
                family=piece.family,
                decades=_difference(logs[i + 1], logs[i]),
                position=i / count,
                slope=slopes[i],
                dead=dead[i],
                reused=piece.reused,
                dtype=narrowest([*piece.formats, self._entries[i][0], self._entries[i + 1][0]]),
                size=self._size(i),
            )
            for i, piece in enumerate(self._cuts)
        )
        return Ledger(
            name=self.name,
            target=self.target,
            target_layer=module_of(self.target),
            segments=segments,
            start=logs[0],
            end=logs[-1],
            scale=self._scale,
            closed=self._kinds,
            below=self._below,
            unplaced=self._unplaced,
            given=given_rms,
        )


def open_ledger(
    root: Node | Graph,
    names: Mapping[int, str],
    name: str = "loss",
    target: str | None = None,
    scale: float = 1.0,
    *,
    group: int = 1,
    ranks: int = 1,
) -> OpenLedger | None:
    """Start a ledger on the graph of one loss; None where no named parameter is reachable.

    Args:
        root: ``grad_fn`` of the loss, or the graph below it that ``walk`` gave.
        names: ``id(parameter)`` -> its name, of the parameters that may be the target.
        name: the ledger's name.
        target: the parameter to end at; default: the one whose layer is farthest from the loss.
        scale: what the loss is multiplied by before its backward; the record says the true sizes.
        group: how many ranks compute this very loss together (tensor parallelism).
        ranks: how many there are.

    Example:
        >>> layer = torch.nn.Linear(2, 1)
        >>> loss = layer(torch.ones(1, 2)).sum()
        >>> ledger = open_ledger(loss.grad_fn, {id(p): n for n, p in layer.named_parameters()})
        >>> loss.backward()
        >>> ledger.close()
        >>> ledger.finish([float(reading) for reading in ledger.pending()]).decades
        0.0
    """
    graph = root if isinstance(root, Graph) else walk(root)
    hidden = look_inside(graph, names)
    found = deepest(graph, [use for use in _uses(graph, names, hidden) if target in (None, use.parameter)])
    if found is None:
        return None
    route = trunk(graph, found.node)
    cuts = cut(graph, route, names, hidden.insides)
    adopt(cuts, module_of(found.parameter))
    if "ToCopy" in graph.operations.values():  # autocast, or casts of the user's own
        for piece in cuts:
            piece.formats = formats_in(piece.nodes)
    copies = dict(zip(route.nodes, plain_copies(route.nodes, group), strict=True))
    held = [copies[piece.first] for piece in cuts] + [copies[found.node]]
    return OpenLedger(
        name, found.parameter, cuts, found.node, held, hidden=hidden, ranks=ranks, scale=scale, graph=graph
    )


def _uses(graph: Graph, names: Mapping[int, str], hidden: Hidden) -> list[Use]:
    leaves = [(leaf, tensor) for leaf, tensor in graph.leaves.items() if id(tensor) in names]
    # Of equally deep ones the weight, not its bias.
    leaves.sort(key=lambda pair: pair[1].dim() < 2)
    found = [use for leaf, tensor in leaves for use in uses(graph, leaf, names[id(tensor)])]
    # What an opaque operation holds is used by it; the layer whose output it gives is the one that the gradient meets
    # first in there.
    return [use for use in found if use.node not in hidden.insides] + hidden.uses()


def _activations(graph: Graph, piece: Cut) -> list[Node]:
    return [node for node in piece.nodes if graph.operations[node] in activations.KNOWN]


def _slope(graph: Graph, node: Node) -> Tensor | None:
    known = graph.slopes
    return known[node] if node in known else activations.slope_ratio(graph.operations[node], node)


def _dead(graph: Graph, node: Node) -> Tensor | None:
    known = graph.dead
    return known[node] if node in known else activations.dead_share(graph.operations[node], node)


def _mean(values: Sequence[Tensor | None]) -> Tensor | None:
    present = [value for value in values if value is not None]
    if len(present) < 2:
        return present[0] if present else None
    return torch.stack(present).mean()


def _log10(norm: float) -> float:
    return math.log10(norm) if norm > 0 else -math.inf if norm == 0 else norm  # nan stays nan


def _difference(after: float, before: float) -> float:
    return 0.0 if after == before else after - before  # equal infinities: nothing was left to lose
