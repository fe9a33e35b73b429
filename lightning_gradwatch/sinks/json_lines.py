"""A recording on disk, written while the fit runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import __version__
from lightning_gradwatch.errors import UnreadableRecord, WrongArgument
from lightning_gradwatch.records import Anatomy, Event, Finding, Frame
from lightning_gradwatch.records.lines import Changes, Record, Start, line, parse

if TYPE_CHECKING:
    import numpy as np


_HEAD = b'{"format":'  # what even half a line of ours begins with


class JsonLinesSink:
    """Appends one line of JSON a record (see ``records.lines``), each of them on disk before the next step.

    A file of ours is gone on with, as a resumed fit does; the half line that a killed fit left is cut off first.

    Args:
        path: the file; folders on its way are made.
        anatomy: what is being watched, for the head line.
        config: the watch's settings, plain values, for the head line.

    Raises:
        WrongArgument: the path holds something that is not a recording of ours.
    """

    takes_pictures: ClassVar[bool] = False

    def __init__(
        self, path: str | Path, anatomy: Anatomy | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _mend(self.path)
        self._file = self.path.open("a", encoding="ascii", newline="\n")
        self._put(Start(anatomy=anatomy, config=dict(config or {}), version=__version__))

    @property
    def name(self) -> str:
        """What the user calls it."""
        return str(self.path)

    def write(self, frame: Frame, findings: Sequence[Finding]) -> None:
        """Append the step."""
        self._put(frame)

    def announce(self, step: int, findings: Sequence[Finding], events: Sequence[Event], notes: Sequence[str]) -> None:
        """Append the changes."""
        self._put(Changes(step=step, findings=tuple(findings), events=tuple(events), notes=tuple(notes)))

    def picture(self, step: int, image: np.ndarray) -> None:
        """Nothing: a recording holds what a picture is drawn from."""

    def close(self) -> None:
        """Close the file; closing twice is closing once."""
        self._file.close()

    def _put(self, record: Record) -> None:
        self._file.write(line(record) + "\n")
        self._file.flush()


def _mend(path: Path) -> None:
    """Make an existing file end with a whole line; refuse one that is not ours before a byte of it changes."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return
    if not path.is_file():
        raise WrongArgument("path", "a file", str(path))
    with path.open("r+b") as file:
        head = file.readline()
        if not _ours(head) and (head.endswith(b"\n") or not head.startswith(_HEAD)):
            raise WrongArgument("path", "a new file or a recording of lightning-gradwatch", str(path))
        last = head
        for last in file:  # noqa: B007 (only the last line is wanted)
            pass
        if last.endswith(b"\n"):
            return
        end = file.seek(0, 2)
        if _ours(last):
            file.write(b"\n")
        else:
            file.truncate(end - len(last))


def _ours(text: bytes) -> bool:
    try:
        parse(text.decode("ascii"))
    except (UnreadableRecord, UnicodeDecodeError):
        return False
    return True
