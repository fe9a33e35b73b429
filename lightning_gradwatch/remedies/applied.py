"""What a treatment has done to a network, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        said = _folded(self.did, self.left)
        return "\n".join([f"{self.treatment}:", *(f"  {sentence}" for sentence in said)] if said else [self.line])

    @property
    def line(self) -> str:
        """All of it in one line.

        Example:
            >>> did = [f"{i}: Sigmoid is ReLU now." for i in range(1, 9, 2)]
            >>> Applied("ReplaceActivation('relu')", did=tuple(did)).line
            "ReplaceActivation('relu'): 1, 3, 5 and 1 more: Sigmoid is ReLU now."
        """
        return f"{self.treatment}: {' '.join(_folded(self.did, self.left)) or 'nothing to change.'}"

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


def _folded(*told: Sequence[str]) -> list[str]:
    """What is said of several modules in the same words is said once; no more than a few sentences of each kind."""
    return [sentence for sentences in told for sentence in _few(_once(sentences), _SENTENCES, "")]


def _once(sentences: Sequence[str]) -> list[str]:
    said: dict[str, list[str]] = {}  # what is said -> of which modules
    for sentence in sentences:
        name, colon, rest = sentence.partition(": ")
        named = bool(colon) and " " not in name
        said.setdefault(rest if named else sentence, []).extend([name] if named else [])
    return [f"{', '.join(_few(names, _NAMES, ','))}: {rest}" if names else rest for rest, names in said.items()]


def _few(words: list[str], most: int, comma: str) -> list[str]:
    """The first ones, and how many more there are."""
    if len(words) <= most:
        return words
    more = f"and {len(words) - most} more"
    return [*words[: most - 1], f"{words[most - 1]} {more}"] if comma else [*words[:most], f"... {more}."]


_NAMES, _SENTENCES = 3, 5
