"""What an intervention is given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gradwatch.anatomy import inspect_model, named_modules
from lightning_gradwatch.records import Anatomy, Finding, Frame, Ledger, Segment
from lightning_gradwatch.records.flow import path_to


@dataclass
class Scene:
    """A copy of the sick network, and what is known of it; an intervention may do anything with the copy."""

    model: nn.Module  # the copy
    finding: Finding
    frame: Frame  # what the same copy showed without any intervention
    ledger: Ledger | None  # of that frame, the one that the finding is about
    beginning: Mapping[str, float] = field(default_factory=dict[str, float])  # parameter -> rms when the fit began

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """The copy's modules by their plain names."""
        return dict(named_modules(self.model))

    @cached_property
    def anatomy(self) -> Anatomy:
        """What the copy is made of."""
        return inspect_model(self.model)

    @property
    def path(self) -> tuple[Segment, ...]:
        """The segments from the head down to the worst layer; none where no ledger shows them."""
        if self.ledger is None:
            return ()
        layer = self.finding.layers[0] if self.finding.layers else self.ledger.target_layer
        return tuple(path_to(self.ledger, layer))

    @property
    def on_path(self) -> tuple[str, ...]:
        """The layers that use parameters on that path, head first; those hidden inside one operation too."""
        ledger = self.ledger
        hidden = (*ledger.below, *ledger.unplaced) if ledger else ()
        return tuple(dict.fromkeys([name for segment in self.path for name in segment.modules] + list(hidden)))

    @property
    def acting(self) -> frozenset[str]:
        """The operations that the ledger counts as activations on that path; "" where it cannot see all of them."""
        names = {item.name for segment in self.path if segment.family == "activation" for item in segment.operations}
        closed = {""} if self.ledger is not None and self.ledger.closed else set()
        return frozenset(names | closed)


def _same(batch: Any) -> Any:
    return batch


@dataclass
class Change:
    """What an intervention has done, or does while the copy makes its step."""

    told: Callable[[], str]  # after the step: what was changed, to be read behind "with"; "": it met nothing
    around: Any = field(default_factory=nullcontext)  # a context for the step
    batch: Callable[[Any], Any] = _same  # what the batch is made to


Intervention = Callable[[Scene], "Change | None"]


def done(text: str) -> Change:
    """A change that is over before the step."""
    return Change(told=lambda: text)


def in_backward() -> bool:
    """Whether a backward runs: what a network computes then is an activation checkpoint, a second time."""
    return torch._C._current_graph_task_id() != -1


def some(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun.

    Example:
        >>> some(1, "layer"), some(20, "layer"), some(2, "batch", "batches")
        ('1 layer', '20 layers', '2 batches')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def floats(value: Any, act: Callable[[Tensor], Tensor]) -> Any:
    """The same structure, with every tensor of floating-point numbers in it changed.

    Example:
        >>> import torch
        >>> floats({"x": [torch.ones(1), 3]}, lambda x: x + 1)
        {'x': [tensor([2.]), 3]}
    """
    if isinstance(value, Tensor):
        return act(value) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {key: floats(item, act) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(floats(item, act) for item in value))
    return type(value)(floats(item, act) for item in value) if type(value) in (list, tuple) else value
