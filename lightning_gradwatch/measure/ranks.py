"""Several ranks: one all_reduce a measured step, after which every rank knows the same true numbers.

Each rank packs its shares of all numbers into one buffer, whose size follows from the model alone, so that a rank whose
own watch has failed can still take part.  Nothing else here is collective.  Alone, a rank just copies to the host.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from lightning_gradwatch.measure.host import to_host


class Trouble(Enum):
    """Why a number cannot be known, or is not that of all ranks."""

    ABSENT = "a rank has nothing to say"
    INCOMPLETE = "a rank has nothing to say, and nobody else has what it has"
    DIFFERENT = "the ranks measured different things"
    TOO_LONG = "more numbers than there is room for"
    MUTE = "there are other ranks, and no way to talk to them"


# Room in the buffer for so many numbers a parameter tensor, and for so many beside (a loop unrolled over a thousand
# time steps has a long ledger): 64 KiB.
_EACH, _LEAST = 32, 8192
_SECTIONS = 4
_MARKS = 4  # a section: (hash, its square) twice
_HEAD = 1 + _MARKS * _SECTIONS
_HASH = 1 << 20  # small enough that the sum of its squares over thousands of ranks is exact in float64


@dataclass(frozen=True)
class Share:
    """This rank's share of some numbers, and how the shares make the whole.

    Attributes:
        tensor: what this rank measured, of any shape.
        roots: how many of its first numbers are L2 norms, whose shares add up as squares; the others just add up.
        copies: for each number on how many ranks the very same share lies; 0: every rank has the whole.
        mean: the shares are norms of the gradients of the ranks' own losses, of which the whole is the mean.
    """

    tensor: Tensor
    roots: int = 0
    copies: tuple[int, ...] = ()
    mean: bool = False

    @property
    def size(self) -> int:
        """How many numbers."""
        return self.tensor.numel()

    def packed(self, device: torch.device) -> Tensor:
        """What is to be summed over the ranks."""
        values = self.tensor.detach().reshape(-1).to(device, torch.float64)
        if self.roots:
            values = torch.cat([values[: self.roots].square(), values[self.roots :]])
        if any(count > 1 for count in self.copies):
            values = values / torch.tensor([max(1, count) for count in self.copies], device=device)
        return values

    def whole(self, sums: Sequence[float], alive: int, losses: float) -> list[float]:
        """The numbers of all ranks together.

        Args:
            sums: of ``packed`` over the ranks.
            alive: how many ranks took part.
            losses: over how many different losses (data-parallel groups) the mean is.
        """
        counts = self.copies or (0,) * len(sums)
        parts = [losses**2 if self.mean else 1 if count else alive for count in counts]
        values = [total / part for total, part in zip(sums, parts, strict=True)]
        return [math.sqrt(value) if i < self.roots else value for i, value in enumerate(values)]


@dataclass(frozen=True)
class Section:
    """Numbers that are known together or not at all.

    Attributes:
        shares: the numbers.
        structure: tells what the numbers are; ranks whose structures differ have nothing to add up.
    """

    shares: Sequence[Share]
    structure: Callable[[], object] = bool

    @property
    def size(self) -> int:
        """How many numbers."""
        return sum(share.size for share in self.shares)

    def marks(self, start: int) -> tuple[int, ...]:
        """Small hashes of structure and place; their sums and sums of squares tell whether all ranks have the same."""
        text = repr((start, self.structure(), [(s.size, s.roots, s.mean) for s in self.shares]))
        digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        first, second = digest % _HASH, digest // _HASH % _HASH
        return first, first**2, second, second**2


class Ranks:
    """The ranks of a fit.

    Args:
        size: how many there are.
        losses: how many of them see different data.
        device: where their messages lie.
        parameters: number of parameter tensors of the model.
        reduce: sums a tensor over the ranks, in place.
        mute: whether there are other ranks that cannot be talked to, so that this one counts as alone.
    """

    def __init__(
        self,
        size: int = 1,
        losses: int | None = None,
        device: torch.device | str = "cpu",
        parameters: int = 0,
        reduce: Callable[[Tensor], object] | None = None,
        *,
        mute: bool = False,
    ) -> None:
        self.size, self.losses = size, size if losses is None else losses
        self.device, self._room = torch.device(device), _LEAST + _EACH * parameters
        self.troubles: list[Trouble] = [Trouble.MUTE] if mute else []  # of the last meeting, each once
        self._reduce = _all_reduce if reduce is None else reduce
        self._owed, self._everybody = False, True

    def expect(self) -> None:
        """All ranks will meet at the end of this step, whatever happens until then."""
        self._owed = self.size > 1

    def settle(self) -> None:
        """Take part in a meeting that this rank's watch failed to reach, with nothing to say."""
        if self._owed:
            self._owed = self._everybody = False
            self._reduce(self._empty())

    def any(self, decision: bool) -> bool:
        """Whether any rank decided so.

        Ranks that all were at the last meeting know and decide the same; only when one was not there, they ask.
        """
        if self._everybody:
            return decision
        votes = torch.tensor([float(decision)], device=self.device)
        self._reduce(votes)
        return votes.item() > 0

    def gather(self, sections: Sequence[Section]) -> list[list[list[float]] | None]:
        """For each section the numbers of its shares, of all ranks together; None: they cannot be known.

        The one moment of a step that waits for devices and for other ranks.

        Args:
            sections: at most ``_SECTIONS``; those whose structure may differ between ranks stand last.
        """
        if self.size == 1:
            values = iter(to_host([share.tensor for section in sections for share in section.shares]))
            return [[next(values) for _ in section.shares] for section in sections]
        buffer = self._packed(sections)
        self._owed = False
        self._reduce(buffer)
        used = min(len(buffer), _HEAD + sum(section.size for section in sections))
        return self._unpacked(buffer[:used].tolist(), sections)

    def _empty(self) -> Tensor:
        return torch.zeros(_HEAD + self._room, dtype=torch.float64, device=self.device)

    def _packed(self, sections: Sequence[Section]) -> Tensor:
        buffer, head, start = self._empty(), [1], _HEAD
        for section in sections:
            head.extend(section.marks(start))
            if section.size and start + section.size <= len(buffer):
                numbers = torch.cat([share.packed(self.device) for share in section.shares])
                buffer[start : start + section.size] = numbers
            start += section.size
        buffer[: len(head)] = torch.tensor(head, dtype=torch.float64, device=self.device)
        return buffer

    def _unpacked(self, sums: Sequence[float], sections: Sequence[Section]) -> list[list[list[float]] | None]:
        alive, start = round(sums[0]), _HEAD
        self._everybody = alive == self.size
        self.troubles = [] if self._everybody else [Trouble.ABSENT]
        found: list[list[list[float]] | None] = []
        for i, section in enumerate(sections):
            marks = [round(mark) for mark in sums[1 + _MARKS * i : 1 + _MARKS * (i + 1)]]
            numbers = sums[start : start + section.size]
            trouble = self._trouble(section, marks, alive, len(numbers))
            if trouble is not None and trouble not in self.troubles:
                known = [other for other in self.troubles if other is not Trouble.ABSENT]
                self.troubles = [*known, trouble] if trouble is Trouble.INCOMPLETE else [*self.troubles, trouble]
            found.append(None if trouble is not None else self._wholes(section, numbers, alive))
            start += section.size
        return found

    def _trouble(self, section: Section, marks: Sequence[int], alive: int, numbers: int) -> Trouble | None:
        same = all(alive * squares == total**2 for total, squares in (marks[:2], marks[2:]))
        if not same:
            return Trouble.DIFFERENT
        if alive < self.size and any(map(self._needs_all, section.shares)):
            return Trouble.INCOMPLETE
        return None if numbers == section.size else Trouble.TOO_LONG

    def _needs_all(self, share: Share) -> bool:
        """Whether one rank's absence leaves a hole in these numbers."""
        return self.size != self.losses if share.mean else any(share.copies)

    def _wholes(self, section: Section, sums: Sequence[float], alive: int) -> list[list[float]]:
        wholes, start, losses = [], 0, self.losses * alive / self.size
        for share in section.shares:
            wholes.append(share.whole(sums[start : start + share.size], alive, losses))
            start += share.size
        return wholes


def _all_reduce(buffer: Tensor) -> None:
    torch.distributed.all_reduce(buffer)
