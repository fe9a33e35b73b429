"""Reads a recording back: lines to records, in order, as data only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Frame
from lightning_gradwatch.records.lines import Changes, Record, Start, parse

CUT_SHORT = "The recording ends in half a line: whatever wrote it was stopped there."


@dataclass
class Recording:
    """What stands in a recording."""

    start: Start = field(default_factory=Start)
    frames: list[Frame] = field(default_factory=list[Frame])
    changes: Changes = field(default_factory=lambda: Changes(step=0))

    def add(self, record: Record) -> None:
        """Take the next record; a fit that was resumed from a checkpoint goes over some steps a second time."""
        if isinstance(record, Start):
            self.start = record
        elif isinstance(record, Frame):
            while self.frames and self.frames[-1].step >= record.step:
                self.frames.pop()
            self.frames.append(record)
        else:
            self.changes = self.changes | record


def read(path: Path) -> Recording:
    """The recording in that file.

    Raises:
        UnreadableRecord: it cannot be opened, is damaged, foreign or of a newer format.
    """
    recording, found = Recording(), False
    for record in _records(path):
        recording.add(record)
        found = True
    if not found:
        raise UnreadableRecord(f"{path}: there is no record of lightning-gradwatch in it.")
    return recording


def _records(path: Path) -> Iterator[Record]:
    for number, line in enumerate(_lines(path), 1):
        try:
            record = parse(line, f"{path}, line {number}")
        except UnreadableRecord:
            if number == 1 or line.endswith("\n"):
                raise
            record = Changes(step=0, notes=(CUT_SHORT,))
        if record is not None:
            yield record


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file
    except OSError as error:
        raise UnreadableRecord(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise UnreadableRecord(f"{path}: not a recording of lightning-gradwatch (it is no text).") from None
