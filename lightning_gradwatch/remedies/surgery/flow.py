"""What feeds what in a network, as far as its code tells: no data is needed and none of the user's code is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from torch import nn
from torch.nn.modules import conv

from lightning_gradwatch.anatomy.inspect import is_activation
from lightning_gradwatch.anatomy.names import every_module
from lightning_gradwatch.remedies.surgery.activations import BOUNDED, kind_of

# Layers whose weights multiply what passes; a normalisation's only scale it.
_WEIGHTED = (nn.Linear, nn.Bilinear, conv._ConvNd, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


@dataclass(eq=False)
class Call:
    """One call of a module or a function on the way from input to loss."""

    module: nn.Module | None  # that is called; None: it is a function
    owner: nn.Module  # in whose code the call stands
    inputs: frozenset[Call]  # the calls whose results it gets
    kind: str = ""  # of an activation: "sigmoid"
    weighted: bool = False  # whether it multiplies with weights
    written: str = ""  # of a function: "torch.sigmoid"
    file: str = ""
    line: int = 0
    is_gate: bool = False  # whether its result is multiplied with that of another call


@dataclass
class Way:
    """The calls from one beginning (``forward``, ``training_step``), in order."""

    calls: list[Call] = field(default_factory=list[Call])

    def __post_init__(self) -> None:
        self._next: dict[Call, list[Call]] | None = None

    def add(self, call: Call) -> frozenset[Call]:
        """Note a call; what it gives."""
        self.calls.append(call)
        self._next = None
        return frozenset({call})

    def followers(self, call: Call) -> list[Call]:
        """The calls that get its result."""
        if self._next is None:
            self._next = {one: [] for one in self.calls}
            for one in self.calls:
                for source in one.inputs:
                    self._next.setdefault(source, []).append(one)
        return self._next.get(call, [])

    def after(self, call: Call) -> Iterator[Call]:
        """All calls that its result reaches, nearest first."""
        return _reached([call], self.followers)

    def before(self, call: Call) -> Iterator[Call]:
        """All calls whose results reach it, nearest first."""
        return _reached([call], lambda one: one.inputs)

    def is_last(self, call: Call) -> bool:
        """Whether nothing with weights gets what it gives: an output."""
        return not any(one.weighted for one in self.after(call))

    def recurs(self, call: Call) -> bool:
        """Whether the layer that feeds it had its say before: a recurrence written by hand."""
        for layer in (one for one in _reached([call], _unweighted) if one.weighted and one.module is not None):
            if any(one.module is layer.module for one in self.before(layer)):
                return True
        return False

    def activation_after(self, call: Call) -> Call | None:
        """The activation that a layer's result meets before it meets weights again; None: there is none."""
        behind = _reached([call], lambda one: [] if one.weighted and one is not call else self.followers(one))
        return next((one for one in behind if one.kind), None)

    def meet(self, one: frozenset[Call], other: frozenset[Call]) -> None:
        """Two results are multiplied: what is bounded of them is a gate; the later one, if it comes from the other."""
        bounded = [call for call in one | other if call.kind in BOUNDED]
        if one and other:
            for call in bounded:
                if not any(call in set(self.before(later)) for later in bounded if later is not call):
                    call.is_gate = True


def _unweighted(call: Call) -> Iterable[Call]:
    return [] if call.weighted else call.inputs


def _reached(start: list[Call], step: Callable[[Call], Iterable[Call]]) -> Iterator[Call]:
    seen, queue = set(start), list(start)
    for call in queue:
        for one in step(call):
            if one not in seen:
                seen.add(one)
                queue.append(one)
                yield one


class Flow:
    """What feeds what in a network.

    Args:
        ways: read from its code, one for each beginning.
        in_order: the modules in order of registration, as if each fed the next; for those that no code is seen to call.

    Example:
        >>> from lightning_gradwatch.remedies.surgery.reading import read
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Tanh(), nn.Linear(2, 1), nn.Sigmoid())
        >>> flow = read(model)
        >>> flow.activation_after(model[0]).kind, [flow.is_output(model[i]) for i in (2, 4)]
        ('tanh', [False, True])
    """

    def __init__(self, ways: Iterable[Way], in_order: Way) -> None:
        self.ways = list(ways)
        self.in_order = in_order
        self._by_module: dict[int, list[tuple[Way, Call]]] = {}
        for way in self.ways:
            for call in way.calls:
                if call.module is not None:
                    self._by_module.setdefault(id(call.module), []).append((way, call))

    def uses(self, module: nn.Module) -> list[tuple[Way, Call]]:
        """Where a module is called; by order of registration, if no code is seen to call it."""
        return self._by_module.get(id(module)) or [
            (self.in_order, call) for call in self.in_order.calls if call.module is module
        ]

    def is_read(self, module: nn.Module) -> bool:
        """Whether code is seen to call it."""
        return id(module) in self._by_module

    def activation_after(self, layer: nn.Module) -> Call | None:
        """The activation that follows a layer; None: none does."""
        found = (way.activation_after(call) for way, call in self.uses(layer))
        return next((call for call in found if call is not None), None)

    def is_output(self, module: nn.Module) -> bool:
        """Whether nothing with weights follows it, on any way."""
        return any(way.is_last(call) for way, call in self.uses(module))

    def functions(self) -> list[tuple[Way, Call]]:
        """The activations that are called as functions, each line once."""
        found = {(c.file, c.line, c.written): (w, c) for w in self.ways for c in w.calls if c.kind and c.module is None}
        return list(found.values())

    @property
    def main_kind(self) -> str:
        """The activation that most calls are of, outputs and gates aside; "": there is none."""
        ways = self.ways or [self.in_order]
        kinds = [c.kind for way in ways for c in way.calls if c.kind and not c.is_gate and not way.is_last(c)]
        return max(sorted(set(kinds)), key=kinds.count, default="")


def registered(model: nn.Module) -> Way:
    """The modules without parts in order of registration, as if each fed the next."""
    way, given = Way(), frozenset[Call]()
    for module in _in_order(model):
        given = way.add(call_of(module, model, given))
    return way


def _in_order(model: nn.Module) -> list[nn.Module]:
    leaves = {id(module) for module in every_module(model) if is_leaf(module)}
    return [module for module in model.modules() if id(module) in leaves]


def is_leaf(module: nn.Module) -> bool:
    """Whether it is a layer or an activation of its own, whatever parts it is made of."""
    return isinstance(module, _WEIGHTED) or is_activation(module) or not any(True for _ in module.children())


def call_of(module: nn.Module, owner: nn.Module, given: frozenset[Call]) -> Call:
    """The call of a module."""
    return Call(module, owner, given, kind_of(module), isinstance(module, _WEIGHTED))
