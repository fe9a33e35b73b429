"""What a treatment has done to a network, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Applied:
    """A treatment of one network; true if it changed anything.

    Example:
        >>> from torch import nn
        >>> from lightning_gradwatch import ReplaceActivation
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1))
        >>> applied = ReplaceActivation("relu").apply(model)
        >>> bool(applied), applied.changed, type(model[1]).__name__
        (True, ('1',), 'ReLU')
        >>> applied.undo()
        >>> type(model[1]).__name__
        'Sigmoid'
    """

    treatment: str  # as people read it: "ReplaceActivation('relu')"
    changed: tuple[str, ...] = ()  # names of what was changed
    did: tuple[str, ...] = ()  # what was done, a sentence each
    left: tuple[str, ...] = ()  # what was left alone and why, a sentence each
    parameters: int = 0  # how many more numbers there are to train
    spec: dict[str, Any] = field(default_factory=dict[str, Any])  # the treatment as data, with where it was applied
    _back: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.changed)

    def __str__(self) -> str:
        said = [f"{self.treatment}:", *(f"  {sentence}" for sentence in (*self.did, *self.left))]
        return "\n".join(said if len(said) > 1 else [f"{self.treatment}: nothing to change."])

    @property
    def can_undo(self) -> bool:
        """Whether ``undo`` has something to restore."""
        return self._back is not None

    def undo(self) -> None:
        """Put every module, tensor, buffer, hook, optimizer and the random numbers back, bit for bit; once.

        Several treatments of one network are undone in reverse order.
        """
        if self._back is not None:
            back, self._back = self._back, None
            back()

    def keep(self) -> None:
        """Let go of what ``undo`` would restore, and of the memory that it takes."""
        self._back = None
