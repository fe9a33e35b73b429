"""Number formats: where they end, and which zeros of a gradient are theirs.

A gradient that is flushed to zero because its format has nothing smaller is not cut off, and need not have vanished:
the same gradient in float32 may be fine.  Judged by how far above the format's smallest number a gradient stands where
it becomes zero, never by its size alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lightning_gradwatch.records.frame import Frame, Ledger, Segment

# log10 of the smallest number of each format, narrowest first.  Of formats with float32's range the smallest normal
# one: below it some processors keep a few digits and others flush to zero.
_SMALLEST = {
    "float8_e4m3fn": -9 * math.log10(2),
    "float8_e5m2": -16 * math.log10(2),
    "float16": -24 * math.log10(2),
    "bfloat16": -126 * math.log10(2),
    "float32": -126 * math.log10(2),
    "complex64": -126 * math.log10(2),
    "float64": -1022 * math.log10(2),
    "complex128": -1022 * math.log10(2),
}
# Formats with so few digits (3 and 2 decimal ones) that an ordinary update may round away beside its weight.
_COARSE = ("float16", "bfloat16")
# One stretch alone may take the last decade before the end, or as many as the stretches before it took together.
_LAST = 1.0


@dataclass(frozen=True, kw_only=True)
class FormatEnd:
    """Where the number format ends the gradient of one ledger; sizes as the format saw them, loss scale included."""

    dtype: str
    smallest: float  # log10 of the smallest number that it holds
    entered: float  # log10 of the gradient, root mean square, that enters the network (the loss, if it ends there)
    lost: float  # decades that the network itself loses down to the end
    room: float  # decades that the gradient, root mean square, stands above the smallest number there
    best: float  # ... where it stands highest in the network
    is_zero: bool  # nothing is left behind that stretch; else it comes within a decade of the smallest number
    in_loss: bool = False  # it ends before the network begins

    @property
    def taken(self) -> float:
        """Decades of the format that were gone for other reasons than what the network loses."""
        return max(0.0, -self.smallest - self.lost - max(0.0, self.room))


def smallest(dtype: str) -> float | None:
    """log10 of the smallest number that this format holds; None where it is not known.

    Example:
        >>> round(smallest("float16"), 2), smallest("unheard-of")
        (-7.22, None)
    """
    return _SMALLEST.get(dtype)


def narrowest(dtypes: Iterable[str]) -> str:
    """The format that ends first; "" where none of them is known.

    Example:
        >>> narrowest(["float32", "float16", "float32"])
        'float16'
    """
    found = set(dtypes)
    return next((dtype for dtype in _SMALLEST if dtype in found), "")


def format_end(ledger: Ledger) -> FormatEnd | None:
    """Where the number format ends this ledger's gradient; None: it does not, or cannot be told to.

    An exact zero far above the format's smallest number is a true one: a dead layer, a mask, weights of zero.
    """
    found = [_end(stretches, in_loss) for stretches, in_loss in _parts(ledger)]
    return next((end for end in found if end is not None), None)


def zero_share(frame: Frame) -> float:
    """Share of the gradients' elements that are exactly zero on this step."""
    known = [(r.zeros, r.size) for r in frame.parameters if r.zeros is not None]
    return sum(zeros * size for zeros, size in known) / max(1, sum(size for _, size in known))


def rounds_away(frame: Frame) -> bool:
    """Whether gradients came and the optimizer used them, but no weight of a coarse format moved by it.

    Half a unit in the last place of a bfloat16 weight is 0.2 % of it: smaller updates leave it where it is.
    """
    stood = any(r.norm and r.update == 0 and r.dtype in _COARSE for r in frame.parameters)
    return stood and not frame.moved and is_used(frame)


def is_used(frame: Frame) -> bool:
    """Whether the optimizer was free to move weights on this step."""
    return not frame.skipped and any(frame.rates)


class _Stretch(NamedTuple):
    """A segment, and what enters it as its format saw it."""

    segment: Segment
    norm: float  # log10
    rms: float  # log10
    smallest: float


def _parts(ledger: Ledger) -> tuple[tuple[list[_Stretch], bool], tuple[list[_Stretch], bool]]:
    """What lies before the network, and the network, as far as sizes and formats are known."""
    before: list[_Stretch] = []
    network: list[_Stretch] = []
    level = ledger.start + math.log10(ledger.scale)
    for index, segment in enumerate(ledger.segments):
        limit = smallest(segment.dtype)
        if limit is not None and segment.size and math.isfinite(level):
            rms = level - 0.5 * math.log10(segment.size)
            stretch = _Stretch(segment, level, rms, limit)
            (network if index >= ledger.head else before).append(stretch)
        level += segment.decades
    return (before, True), (network, False)


def _end(stretches: list[_Stretch], in_loss: bool) -> FormatEnd | None:
    near: _Stretch | None = None
    for one in stretches:
        room, lost = one.rms - one.smallest, max(0.0, stretches[0].norm - one.norm)
        is_zero = one.segment.decades == -math.inf
        if is_zero and room > max(_LAST, lost):
            return None
        if is_zero:
            near = one
            break
        if room <= _LAST and not in_loss and near is None:  # a loss is small where a batch is large
            near = one
    if near is None:
        return None
    return FormatEnd(
        dtype=near.segment.dtype,
        smallest=near.smallest,
        entered=near.rms if in_loss else stretches[0].rms,
        lost=0.0 if in_loss else max(0.0, stretches[0].norm - near.norm),
        room=near.rms - near.smallest,
        best=max(one.rms - one.smallest for one in stretches),
        is_zero=near.segment.decades == -math.inf,
        in_loss=in_loss,
    )
