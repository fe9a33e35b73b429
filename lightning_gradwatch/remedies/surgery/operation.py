"""One treatment of one network, from the look whether it can be edited to the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn

from lightning_gradwatch.remedies.applied import Applied
from lightning_gradwatch.remedies.surgery.adoption import adopt
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.editable import obstacle
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.remedies.surgery.keepsake import Keepsake
from lightning_gradwatch.remedies.surgery.marker import mark, unmark
from lightning_gradwatch.remedies.treatment import Treatment


def operate(
    treatment: Treatment,
    model: nn.Module,
    optimizers: Sequence[Any],
    where: Sequence[str] | None,
    batches: Callable[[], Iterable[Any]] | None,
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
    told = repr(treatment)
    if treatment.edits_network and (hindered := obstacle(model)):
        return Applied(told, left=(hindered,))
    edit = Edit(model, optimizers, where, batches)
    kept = Keepsake(model, optimizers) if undoable else None
    before, size = dict(model.named_parameters()), _size(model)
    try:
        with own_ground(treatment.seed):
            treatment._edit(edit)
        adopt(model, before, optimizers)
    except BaseException:
        if kept is not None:
            kept.settle()
            _back(kept, edit)
        raise
    spec = {**treatment.spec(), "where": None if where is None else list(where)}
    if edit.changed and treatment.structural:
        mark(model, told, spec)
    if kept is not None:
        kept.settle()
    return Applied(
        told,
        tuple(dict.fromkeys(edit.changed)),
        tuple(edit.did),
        tuple(edit.left),
        _size(model) - size,
        spec,
        None if kept is None or not edit.changed else lambda: _back(kept, edit, told if treatment.structural else ""),
    )


def _back(kept: Keepsake, edit: Edit, marked: str = "") -> None:
    for act in reversed(edit.undone):  # first, while what they let go of is still there
        act()
    kept.restore()
    if marked:
        unmark(edit.model, marked)


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad and not _lazy(p))


def _lazy(parameter: nn.Parameter) -> bool:
    return isinstance(parameter, nn.parameter.UninitializedTensorMixin)
