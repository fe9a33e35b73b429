"""A recording as one value: what one fit left behind, read from JSON lines or gathered from records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.anatomy import Anatomy
from lightning_gradwatch.records.event import Event
from lightning_gradwatch.records.finding import Finding
from lightning_gradwatch.records.forecast import Forecast
from lightning_gradwatch.records.frame import Frame
from lightning_gradwatch.records.lines import Changes, Record, Start, parse

_LONGEST_LINE = 1 << 28  # bytes: more is no recording


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What one fit left behind, as if it had run through without a break."""

    anatomy: Anatomy | None = None
    frames: tuple[Frame, ...] = ()  # in the order of their steps
    findings: tuple[Finding, ...] = ()  # each in its last state, in the order in which they appeared
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()  # the watch's own, and what was odd about the files
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    name: str = ""  # of the watch
    forecast: Forecast | None = None  # of a checkup


def read_lines(path: str | Path) -> Recording:
    """The recording in a JSON-lines file.

    Raises:
        UnreadableRecord: it cannot be opened, is damaged, foreign or from a newer version.
    """
    path, notes = Path(path), list[str]()
    try:
        return gather(list(_lines(path, notes)), notes)
    except OSError as error:
        raise UnreadableRecord(f"{str(path)!r}: cannot be read ({error.strerror}).") from None


def gather(records: Iterable[Record], notes: Iterable[str] = ()) -> Recording:
    """Records in the order in which they were written, as one recording.

    A fit that was resumed from a checkpoint goes back some steps: a frame whose step is not behind that of the last
    one begins again there, and what an abandoned attempt recorded from that step on is dropped.
    """
    start, frames, changes = Start(), list[Frame](), list[Changes]()
    for record in records:
        if isinstance(record, Start):
            start = record
        elif isinstance(record, Changes):
            changes.append(record)
        else:
            if frames and frames[-1].step >= record.step:
                _drop_from(record.step, frames, changes)
            frames.append(record)
    findings = {finding.id: finding for change in changes for finding in change.findings}
    said = [note for change in changes for note in change.notes]
    return Recording(
        anatomy=start.anatomy,
        frames=tuple(frames),
        findings=tuple(findings.values()),
        events=tuple(dict.fromkeys(event for change in changes for event in change.events)),
        notes=tuple(dict.fromkeys((*said, *notes))),
        config=start.config,
        name=start.name,
        forecast=start.forecast,
    )


def _drop_from(step: int, frames: list[Frame], changes: list[Changes]) -> None:
    while frames and frames[-1].step >= step:
        frames.pop()
    while changes and changes[-1].step >= step:
        changes.pop()


def _lines(path: Path, notes: list[str]) -> Iterator[Record]:
    with path.open("rb") as file:
        number = 0
        while text := file.readline(_LONGEST_LINE):
            number += 1
            what = f"{str(path)!r}, line {number}"
            try:
                record = parse(text.decode("utf-8"), what)
            except (UnreadableRecord, UnicodeDecodeError) as error:
                if number > 1 and not text.endswith(b"\n") and len(text) < _LONGEST_LINE:
                    notes.append(f"The last line of {path.name!r} is half written: the fit was cut off there.")
                    return
                reason = f"{what}: not text." if isinstance(error, UnicodeDecodeError) else str(error)
                raise UnreadableRecord(reason) from None
            if record is not None:
                yield record
    if not number:
        raise UnreadableRecord(f"{str(path)!r} is empty: it holds no recording of lightning-gradwatch.")
