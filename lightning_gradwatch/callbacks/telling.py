"""Tells the console and the sinks what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from lightning_gradwatch.callbacks import console, notes
from lightning_gradwatch.detect import Change
from lightning_gradwatch.errors import MissingExtra, WrongArgument
from lightning_gradwatch.records import Event, Frame, Kind, Severity
from lightning_gradwatch.sinks import JsonLinesSink, Sink, open_sinks
from lightning_gradwatch.verify.casebook import Casebook

# Pixels of a picture in TensorBoard, whose cards are narrow: large letters beat many of them.
_PICTURE = (640, 440)


@dataclass
class Teller:
    """The voice of the watch.

    A sink that fails is lost, with one sentence and its traceback; the others, and the judging, go on.

    Args:
        casebook: what there is to tell.
        sinks: where records go; empty on ranks other than zero.
        speaks: whether the console hears anything.
        hides: a kind of finding that is recorded but not spoken of.
        picture_every_n_steps: least distance of two pictures; 0: none at all.
        strict: raise what a sink raises.
    """

    casebook: Casebook
    sinks: Sequence[Sink] = ()
    speaks: bool = True
    hides: Kind | None = None
    picture_every_n_steps: int = 0
    strict: bool = False
    _pictured: int = field(default=0, init=False)
    _told: dict[str, Severity] = field(default_factory=dict, init=False)  # of each open finding, the worst spoken of

    def __post_init__(self) -> None:
        found = self.casebook.judge.findings  # of a fit that goes on
        self._told = {one.id: one.severity for one in found if one.is_alarm}

    def open(self, loggers: Sequence[Any]) -> None:
        """Write to these loggers too."""
        for logger in loggers:
            with self._losing(type(logger).__name__):
                self.sinks = [*self.sinks, *open_sinks([logger], self.casebook.anatomy, self.casebook.config)]

    def record_to(self, path: str) -> None:
        """Record to a file too; one that cannot be written is said, and the fit is watched without it."""
        try:
            sink = JsonLinesSink(path, self.casebook.anatomy, self.casebook.config)
        except (OSError, WrongArgument) as error:
            self.note(notes.not_recorded(path, error))
        else:
            self.sinks = [*self.sinks, sink]

    def frame(self, frame: Frame, changes: Sequence[Change], events: Sequence[Event], remarks: Sequence[str]) -> None:
        """A measured step, and what it changed."""
        for remark in remarks:
            self.note(remark)
        self._each(lambda sink: sink.write(frame, self.casebook.judge.findings))
        self.announce(frame.step, changes, events)
        self._picture(frame.step, any(change.what == "opened" for change in changes))

    def announce(self, step: int, changes: Sequence[Change], events: Sequence[Event]) -> None:
        """Findings that changed, and actions."""
        if not changes and not events:
            return
        if self.speaks:
            for change in changes:
                if change.finding.kind is not self.hides and self._is_news(change):
                    console.change(change, self._done_about(change))
            for event in events:
                console.event(event)
        found = [change.finding for change in changes]
        self._each(lambda sink: sink.announce(step, found, events, self.casebook.notes))

    def _is_news(self, change: Change) -> bool:
        """Whether to speak of it: a finding that goes up and down between two severities is told once of each."""
        finding = change.finding
        if change.what == "resolved":
            return self._told.pop(finding.id, None) is not None
        news = finding.severity > self._told.get(finding.id, Severity.INFO)
        if news:
            self._told[finding.id] = finding.severity
        return news

    def _done_about(self, change: Change) -> tuple[Event, ...]:
        return tuple(event for event in self.casebook.events if event.finding == change.finding.id)

    def note(self, sentence: str) -> None:
        """A sentence that the user should know; only once."""
        if self.casebook.note(sentence) and self.speaks:
            console.note(sentence)

    def closing(self) -> None:
        """The last picture and the last line."""
        if self.casebook.frames:
            self._picture(self.casebook.last_step, now=True)
        if self.speaks:
            console.closing(self.casebook)

    def close(self) -> None:
        """Record how the findings stand at the end, and let go of the sinks, whatever fails.

        Raises:
            Exception: with ``strict``, what the first of the failing sinks raised, once all are closed.
        """
        failed: list[Exception] = []
        for sink in self.sinks:
            try:
                with self._losing(sink.name, sink):
                    self._conclude(sink)
                    sink.close()
            except Exception as error:  # one broken sink must not keep the others open
                failed.append(error)
        self.sinks = ()
        if failed:
            raise failed[0]

    def _conclude(self, sink: Sink) -> None:
        findings = self.casebook.judge.findings
        if self.casebook.frames and findings:
            sink.announce(self.casebook.last_step, findings, self.casebook.events, self.casebook.notes)

    def _picture(self, step: int, now: bool) -> None:
        galleries = [sink for sink in self.sinks if sink.takes_pictures]
        if not galleries or not self.picture_every_n_steps:
            return
        if not now and step - self._pictured < self.picture_every_n_steps:
            return
        self._pictured = step
        image = self._drawn()
        if image is not None:
            self._each(lambda sink: sink.picture(step, image), galleries)

    def _drawn(self) -> Any | None:
        """The picture; None where it cannot be drawn: that is said once, and none is tried again."""
        from lightning_gradwatch.report.figures import flow_image

        try:
            return flow_image(self.casebook.report, *_PICTURE)
        except MissingExtra as error:
            self.note(str(error))
        except Exception as error:
            if self.strict:
                raise
            self.failed(notes.no_pictures(error), error)
        self.picture_every_n_steps = 0
        return None

    # --- sinks that fail ----------------------------------------------------------------------------------------------

    def _each(self, do: Callable[[Sink], None], sinks: Sequence[Sink] | None = None) -> None:
        for sink in self.sinks if sinks is None else sinks:
            with self._losing(sink.name, sink):
                do(sink)

    @contextmanager
    def _losing(self, name: str, sink: Sink | None = None) -> Iterator[None]:
        """Do something with a sink, and do without it if that fails."""
        try:
            yield
        except Exception as error:
            self.sinks = [other for other in self.sinks if other is not sink]
            if sink is not None:
                with suppress(Exception):  # what can be saved of it is
                    sink.close()
            if self.strict:
                raise
            self.failed(notes.sink_lost(name, error), error)

    def failed(self, sentence: str, error: Exception) -> None:
        """Say what is done without from now on, with the traceback; only once."""
        if self.casebook.note(sentence):
            console.broken(sentence, error)
