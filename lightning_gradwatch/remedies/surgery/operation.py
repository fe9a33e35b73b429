"""One treatment of one network, from the look whether it can be edited to the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from lightning_gradwatch.remedies.applied import Applied
from lightning_gradwatch.remedies.surgery.adoption import adopt
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.editable import obstacle
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.remedies.surgery.keepsake import Keepsake
from lightning_gradwatch.remedies.surgery.marker import mark, unmark
from lightning_gradwatch.remedies.treatment import Treatment

Batches = Callable[[], Iterable[Any]]


def operate(
    treatment: Treatment,
    model: nn.Module,
    optimizers: Sequence[Any],
    where: Sequence[str] | None,
    batches: Batches | None,
    *,
    undoable: bool,
) -> Applied:
    """Edit the network; an edit that fails half-way leaves it as it was, if it is undoable.

    Args:
        treatment: what to do.
        model: the network.
        optimizers: torch optimizers.
        where: names of modules; None: everywhere.
        batches: gives training batches; None: there are none.
        undoable: keep what an undo needs.
    """
    with _Theatre(model, optimizers, undoable=undoable) as theatre:
        applied = theatre.perform(treatment, where, batches)
    return replace(applied, _back=theatre.back if applied else None)


def operate_all(
    treatments: Sequence[Treatment],
    model: nn.Module,
    optimizers: Sequence[Any],
    batches: Batches | None = None,
    *,
    undoable: bool = True,
) -> Applied:
    """Several treatments of one network in order, which are undone together.

    Args:
        treatments: what to do; each where it was made for.
        model: the network.
        optimizers: torch optimizers.
        batches: gives training batches.
        undoable: keep what an undo needs, once for all.
    """
    with _Theatre(model, optimizers, undoable=undoable) as theatre:
        done = [theatre.perform(one, one.where, batches) for one in treatments]
    return Applied(
        " + ".join(map(repr, treatments)),
        tuple(dict.fromkeys(name for made in done for name in made.changed)),
        tuple(sentence for made in done for sentence in made.did),
        tuple(sentence for made in done for sentence in made.left),
        sum(made.parameters for made in done),
        {"treatments": [made.spec for made in done if made]},
        theatre.back if any(done) else None,
    )


class _Theatre:
    """Where a network is treated: what happens within is undone together, at once where it fails."""

    def __init__(self, model: nn.Module, optimizers: Sequence[Any], *, undoable: bool) -> None:
        self._model, self._optimizers = model, optimizers
        self._kept = Keepsake(model, optimizers) if undoable else None
        self._edits: list[Edit] = []
        self._marked: list[str] = []

    def __enter__(self) -> _Theatre:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._kept is not None:
            self._kept.settle()
            if kind is not None:
                self._restore()

    @property
    def back(self) -> Callable[[], None] | None:
        """What undoes everything; None: nobody wanted to."""
        return None if self._kept is None else self._restore

    def perform(self, treatment: Treatment, where: Sequence[str] | None, batches: Batches | None) -> Applied:
        """One treatment."""
        told, model = repr(treatment), self._model
        if treatment.edits_network and (hindered := obstacle(model)):
            return Applied(told, left=(hindered,))
        edit = Edit(model, self._optimizers, where, batches)
        self._edits.append(edit)
        before, size = dict(model.named_parameters()), _size(model)
        with own_ground(treatment.seed):
            treatment._edit(edit)
        adopt(model, before, self._optimizers)
        if not (edit.changed or edit.left):
            edit.leave(treatment.applies_to(model).why_not or "There is nothing here for it to change.")
        places = None if where is None else list(where)
        spec = {**treatment.spec(), "where": places}
        if edit.changed and treatment.structural:
            self._marked.append(treatment.known_as(places))
            mark(model, self._marked[-1], spec)
        changed = tuple(dict.fromkeys(edit.changed))
        return Applied(told, changed, tuple(edit.did), tuple(edit.left), _size(model) - size, spec)

    def _restore(self) -> None:
        for edit in reversed(self._edits):
            for act in reversed(edit.undone):  # first, while what they let go of is still there
                act()
        if self._kept is not None:
            self._kept.restore()
        for told in reversed(self._marked):
            unmark(self._model, told)


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad and not is_lazy(p))
