"""A recording as JSON lines: one self-contained record a line, so that a fit that dies loses at most its last line.

    {"format":1,"kind":"start","start":{"anatomy":{...},"config":{...},...}}       what is being watched
    {"format":1,"kind":"frame","frame":{...}}                                     one measured step
    {"format":1,"kind":"changes","changes":{"step":...,"findings":[...],"events":[...],"notes":[...]}}

Readers of a format ignore kinds and fields that they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.anatomy import Anatomy
from lightning_gradwatch.records.codec import FORMAT, decode, dumps, loads
from lightning_gradwatch.records.event import Event
from lightning_gradwatch.records.finding import Finding
from lightning_gradwatch.records.forecast import Forecast
from lightning_gradwatch.records.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Start:
    """What is being watched, and how: the head of a recording."""

    anatomy: Anatomy | None = None
    config: dict[str, Any] = field(default_factory=dict[str, Any])  # the watch's settings, plain values
    version: str | None = None  # of the package that wrote it
    name: str = ""  # of the watch
    forecast: Forecast | None = None  # of a checkup


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Whatever changed at one step."""

    step: int
    findings: tuple[Finding, ...] = ()  # those that opened, changed or resolved, as they stand now
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changed at all."""
        return bool(self.findings or self.events or self.notes)

    def __or__(self, later: Changes) -> Changes:
        """Both in one, in order: nothing twice, and of a finding its later state."""
        findings = {finding.id: finding for finding in (*self.findings, *later.findings)}
        return Changes(
            step=later.step,
            findings=tuple(findings.values()),
            events=tuple(dict.fromkeys((*self.events, *later.events))),
            notes=tuple(dict.fromkeys((*self.notes, *later.notes))),
        )


Record = Start | Frame | Changes

_KINDS: dict[str, type[Record]] = {"start": Start, "frame": Frame, "changes": Changes}


def line(record: Record) -> str:
    """One record as one line of JSON, without the line break.

    Example:
        >>> line(Changes(step=3, notes=("the graph is compiled",)))
        '{"format":1,"kind":"changes","changes":{"step":3,"findings":[],"events":[],"notes":["the graph is compiled"]}}'
    """
    kind = next(word for word, of in _KINDS.items() if isinstance(record, of))
    return dumps({"format": FORMAT, "kind": kind, kind: record})


def parse(text: str, what: str = "line") -> Record | None:
    """The record on one line; None: a kind of record that this version does not know.

    Args:
        text: the line.
        what: how errors call it: "run.jsonl, line 3".

    Raises:
        UnreadableRecord: it is not a line of ours, it is damaged, or its format is newer than this version's.
    """
    data: Any = loads(text, what)
    if not isinstance(data, dict):
        raise UnreadableRecord(f"{what}: not a record of lightning-gradwatch.")
    fields: dict[Any, Any] = {**data}
    check_format(fields.get("format"), what)
    kind = fields.get("kind")
    if not isinstance(kind, str):
        raise UnreadableRecord(f"{what}: not a record of lightning-gradwatch (it has no kind).")
    if kind not in _KINDS:
        return None
    try:
        return decode(_KINDS[kind], fields.get(kind))
    except UnreadableRecord as error:
        raise UnreadableRecord(f"{what}: {error}") from None


def check_format(number: object, what: str) -> None:
    """Accept the format numbers that this version reads.

    Raises:
        UnreadableRecord: it is no format number of ours, or a newer one.
    """
    if type(number) is not int or number < 1:
        raise UnreadableRecord(f"{what}: not a record of lightning-gradwatch (it has no format number).")
    if number > FORMAT:
        raise UnreadableRecord(
            f"{what}: format {number} is newer than format {FORMAT}, the newest this version reads: "
            "upgrade lightning-gradwatch."
        )


def lines(
    anatomy: Anatomy | None,
    frames: Sequence[Frame],
    findings: Sequence[Finding],
    events: Sequence[Event],
    notes: Sequence[str],
    *,
    config: Mapping[str, Any],
    version: str | None = None,
    name: str = "",
    forecast: Forecast | None = None,
) -> Iterator[str]:
    """A whole recording, line by line: start, frames, and one line with what was found, done and said."""
    yield line(Start(anatomy=anatomy, config=dict(config), version=version, name=name, forecast=forecast))
    for frame in frames:
        yield line(frame)
    steps = [*(f.step for f in frames), *(f.last_step for f in findings), *(e.step for e in events)]
    changes = Changes(step=max(steps, default=0), findings=tuple(findings), events=tuple(events), notes=tuple(notes))
    if changes:
        yield line(changes)
