"""Recordings, read again: JSON lines and TensorBoard logs, as data only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.lines import Record
from lightning_gradwatch.records.recording import Recording, gather, read_lines
from lightning_gradwatch.sinks.event_files import HalfWritten
from lightning_gradwatch.sinks.event_reading import EventReader


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
            recording = _read_events([path]) if "tfevents" in path.name else read_lines(path)
            found = {} if recording is None else {path.name: recording}
        else:
            raise UnreadableRecord(f"{str(path)!r}: there is no such file or directory.")
    except OSError as error:
        raise UnreadableRecord(f"{str(error.filename or path)!r}: cannot be read ({error.strerror}).") from None
    if not found:
        raise UnreadableRecord(f"{str(path)!r} holds no recording of lightning-gradwatch.")
    return found


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
