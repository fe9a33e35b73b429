"""Recordings, read again: JSON lines and TensorBoard logs, as data only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Anatomy, Event, Finding, Frame
from lightning_gradwatch.records.lines import Changes, Record, Start, parse
from lightning_gradwatch.sinks.event_files import HalfWritten
from lightning_gradwatch.sinks.event_reading import EventReader

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


def read_recording(path: str | Path) -> Recording:
    """The recording in a JSON-lines file, a TensorBoard event file, or a log directory that holds one run.

    Raises:
        UnreadableRecord: there is none, there are several, or it is damaged, foreign or from a newer version.
    """
    runs = read_runs(path)
    if len(runs) > 1:
        names = ", ".join(repr(name) for name in list(runs)[:10]) + (", ..." if len(runs) > 10 else "")
        raise UnreadableRecord(f"{str(path)!r} holds {len(runs)} runs, name one of them: {names}.")
    return next(iter(runs.values()))


def read_runs(path: str | Path) -> dict[str, Recording]:
    """Every recording under a path: run name, as TensorBoard says it, to recording; sorted by name.

    Raises:
        UnreadableRecord: there is none, or one of them is damaged, foreign or from a newer version.
    """
    path = Path(path)
    try:
        if path.is_dir():
            runs = {name: _read_events(files) for name, files in sorted(_event_files(path))}
            found = {name: recording for name, recording in runs.items() if recording is not None}
        elif path.is_file():
            recording = _read_events([path]) if "tfevents" in path.name else _read_lines(path)
            found = {} if recording is None else {path.name: recording}
        else:
            raise UnreadableRecord(f"{str(path)!r}: there is no such file or directory.")
    except OSError as error:
        raise UnreadableRecord(f"{str(error.filename or path)!r}: cannot be read ({error.strerror}).") from None
    if not found:
        raise UnreadableRecord(f"{str(path)!r} holds no recording of lightning-gradwatch.")
    return found


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
    )


def _drop_from(step: int, frames: list[Frame], changes: list[Changes]) -> None:
    while frames and frames[-1].step >= step:
        frames.pop()
    while changes and changes[-1].step >= step:
        changes.pop()


def _read_lines(path: Path) -> Recording:
    notes: list[str] = []
    return gather(list(_lines(path, notes)), notes)


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


def _event_files(root: Path) -> Iterator[tuple[str, list[Path]]]:
    """(run name, its event files, oldest first); links to directories are not followed."""
    for folder, _, names in os.walk(root):
        files = [Path(folder, name) for name in sorted(names) if "tfevents" in name]
        files = [file for file in files if file.is_file()]
        if files:
            yield Path(folder).relative_to(root).as_posix(), files


def _read_events(files: list[Path]) -> Recording | None:
    """The recording in the event files of one run; None: the watch was not there."""
    reader, notes = EventReader(), list[str]()
    records: list[Record] = []
    for file in files:
        try:
            for record in reader.records(file):
                records.append(record)  # one by one: what came before a broken end counts
        except HalfWritten:
            notes.append(f"The last event of {file.name!r} is half written: the fit still runs or was cut off there.")
    if not reader.found:
        return None
    recording = gather(records, notes)
    return replace(recording, frames=tuple(reader.completed(frame) for frame in recording.frames))
