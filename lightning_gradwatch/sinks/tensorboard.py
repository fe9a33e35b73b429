"""TensorBoard: curves, the packed matrix, findings as data and as words, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import __version__
from lightning_gradwatch.records import Anatomy, Event, Finding, Frame
from lightning_gradwatch.records.codec import FORMAT, dumps
from lightning_gradwatch.records.lines import Changes, Start, line
from lightning_gradwatch.sinks import event_values
from lightning_gradwatch.sinks.packed import pack
from lightning_gradwatch.sinks.scalars import scalars
from lightning_gradwatch.sinks.words import markdown

if TYPE_CHECKING:
    import numpy as np

START_TAG = "gradwatch/start"
FINDINGS_TAG = "gradwatch/findings"
TEXT_TAG = "gradwatch/findings_text"
PICTURE_TAG = "gradwatch/gradient_flow"

_MOST_TABLES = 16  # of layers: a graph that is another one on every step must not flood TensorBoard with tags


class TensorBoardSink:
    """Writes through the logger's own SummaryWriter: a second event file would stop TensorBoard's live reloading.

    Args:
        writer: a SummaryWriter of torch or of tensorboardX; stays the user's, is never closed.
        anatomy: what is being watched.
        config: the watch's settings, plain values.
    """

    takes_pictures: ClassVar[bool] = True

    def __init__(self, writer: Any, anatomy: Anatomy | None, config: Mapping[str, Any]) -> None:
        self.writer = writer
        self.anatomy = anatomy
        self.config = dict(config)
        self._described: set[str] = set()  # tags whose metadata is written
        self._tables: set[str] = set()
        self._last: int | None = None
        self._changes: Changes | None = None  # of the step announced last

    @property
    def name(self) -> str:
        """What the user calls it."""
        return "TensorBoard"

    def write(self, frame: Frame, findings: Sequence[Finding]) -> None:
        """Write the curves and the matrix as one event: each event costs TensorBoard a checksum in plain Python."""
        if frame.step == self._last:  # TensorBoard's fast loader keeps one event a tag and step, its slow one both
            return
        self._last = frame.step
        values = [event_values.number(tag, value) for tag, value in scalars(frame, findings).items()]
        packed = pack(frame, self.anatomy, self.config)
        if packed is not None and self._has_room(packed.tag):
            values.append(event_values.matrix(packed.tag, packed.matrix, self._metadata(packed.tag, packed.metadata)))
        self._add(values, frame.step)

    def announce(self, step: int, findings: Sequence[Finding], events: Sequence[Event], notes: Sequence[str]) -> None:
        """Write the changes as data and as words, and make them visible now.

        What is announced at a step already announced joins what was: the later event holds both, because
        TensorBoard keeps only the last event of a tag and step.
        """
        changes = Changes(step=step, findings=tuple(findings), events=tuple(events), notes=tuple(notes))
        if not changes:
            return
        if self._changes is not None and self._changes.step == step:
            changes = self._changes | changes
        self._changes = changes
        metadata = self._metadata(FINDINGS_TAG, dumps({"version": FORMAT}).encode())
        self._add([event_values.text(FINDINGS_TAG, dumps(changes), metadata)], step)
        self.writer.add_text(TEXT_TAG, markdown(changes), step)
        self.writer.flush()

    def picture(self, step: int, image: np.ndarray) -> None:
        """Write the picture of gradient flow."""
        self.writer.add_image(PICTURE_TAG, image, step, dataformats="HWC")

    def close(self) -> None:
        """Flush."""
        self.writer.flush()

    def _add(self, values: list[Any], step: int) -> None:
        head = self._metadata(START_TAG, dumps({"version": FORMAT}).encode())
        if head is not None:
            start = Start(anatomy=self.anatomy, config=self.config, version=__version__)
            values = [event_values.text(START_TAG, line(start), head), *values]
        event_values.add(self.writer, values, step)

    def _metadata(self, tag: str, content: bytes) -> bytes | None:
        """The content on the first call for that tag, then None."""
        if tag in self._described:
            return None
        self._described.add(tag)
        return content

    def _has_room(self, tag: str) -> bool:
        if len(self._tables) < _MOST_TABLES:
            self._tables.add(tag)
        return tag in self._tables
