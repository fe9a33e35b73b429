"""What a sink is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from lightning_gradwatch.records import Event, Finding, Frame

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class Sink(Protocol):
    """A place where records go.  The step axis is ``frame.step``, that of the user's own loss curve."""

    takes_pictures: ClassVar[bool]  # whether drawing one for it is worth the time

    @property
    def name(self) -> str:
        """What the user calls it, for a sentence about it."""
        ...

    def write(self, frame: Frame, findings: Sequence[Finding]) -> None:
        """Take one measured step and the findings that are open now."""
        ...

    def announce(self, step: int, findings: Sequence[Finding], events: Sequence[Event], notes: Sequence[str]) -> None:
        """Take whatever changed at that step: findings that opened, changed or resolved, actions, remarks."""
        ...

    def picture(self, step: int, image: np.ndarray) -> None:
        """Take the picture of gradient flow: (height, width, 3), uint8."""
        ...

    def close(self) -> None:
        """Bring everything to its place.  What the user opened stays open."""
        ...
