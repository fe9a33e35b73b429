"""Everything known about one fit: frames in, findings with causes and remedies out.  Holds no tensor and no trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lightning_gradwatch.detect import Change, Judge
from lightning_gradwatch.diagnose import Ignoring, explain
from lightning_gradwatch.records import Anatomy, Event, Frame
from lightning_gradwatch.records.codec import decode, encode
from lightning_gradwatch.records.pulse import Pulse, pulse
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.report.report import Report
from lightning_gradwatch.verify import notes as sentences

# Frames kept for the report, thinned evenly beyond that; and numbers that a checkpoint carries of them.
_FRAMES = 128
_CARRIED = 2_000
# Pulses kept without a gap: the effect of an action compares the steps before it with as many after it.
_PULSES = 128


@dataclass
class Casebook:
    """The memory of one fit.

    Example:
        >>> Casebook().report.findings
        ()
    """

    name: str = "gradwatch"
    config: Mapping[str, Any] = field(default_factory=dict)
    anatomy: Anatomy = field(default_factory=Anatomy)
    frames: list[Frame] = field(default_factory=list)
    pulses: list[Pulse] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    judge: Judge = field(default_factory=Judge)
    ignoring: Ignoring = field(default_factory=Ignoring)

    def __post_init__(self) -> None:
        self.judge.excuse = self.ignoring.excused

    def take(self, frame: Frame) -> list[Change]:
        """One more measured step: judge it, explain and prescribe for what is new."""
        self.frames.append(frame)
        self.pulses = [*self.pulses[1 - _PULSES :], pulse(frame)]
        if len(self.frames) > _FRAMES:  # the older half loses every other frame, so that the report spans the whole fit
            self.frames[1 : _FRAMES // 2] = self.frames[1 : _FRAMES // 2 : 2]
        return [self._explained(change, frame) for change in self.judge.judge(frame)]

    def _explained(self, change: Change, frame: Frame) -> Change:
        # The causes are those of the beginning: a network that began with small weights and saturated while it could
        # not learn is sick for its weights.
        if change.what != "opened":
            return change
        causes = explain(change.finding, frame, self.anatomy, self.judge.history, self.frames[0])
        finding = self.ignoring.explained(change.finding, causes)
        for cause, reason in self.ignoring.silenced(change.finding, causes):
            self.note(sentences.silenced(cause.code, cause.title, reason))
        finding = replace(finding, remedies=() if finding.ignored else prescribe(finding, self.anatomy))
        self.judge.amend(finding)
        return Change(change.what, finding)

    def note(self, text: str) -> bool:
        """Remember a sentence; False if it was said before."""
        if text in self.notes:
            return False
        self.notes.append(text)
        return True

    @property
    def last_step(self) -> int:
        """The last measured step; -1 before any."""
        return self.frames[-1].step if self.frames else -1

    @property
    def last_frame(self) -> Frame | None:
        """The last measured step itself."""
        return self.frames[-1] if self.frames else None

    @property
    def report(self) -> Report:
        """All of it as values."""
        return Report(
            findings=self.judge.findings,
            events=tuple(self.events),
            frames=tuple(self.frames),
            anatomy=self.anatomy,
            notes=tuple(self.notes),
            config=dict(self.config),
            name=self.name,
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint carries, as JSON data: all judgement, and as many frames as are small enough."""
        return {
            "judge": self.judge.state(),
            "events": encode(self.events),
            "notes": list(self.notes),
            "frames": encode(_thinned(self.frames)),
            "pulses": encode(self.pulses),
            "anatomy": encode(self.anatomy),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave.

        Raises:
            UnreadableRecord: the data is damaged.
        """
        self.judge.restore(state["judge"])
        for finding in self.judge.findings:  # what has been silenced since; what no longer is rings once it is seen
            if not finding.resolved and finding.ignored is None:
                self.judge.amend(self.ignoring.excused(finding))
        self.events = [decode(Event, item) for item in state["events"]]
        self.notes = list(state["notes"])
        frames = [decode(Frame, item) for item in state["frames"]]
        here = [frame for frame in self.frames if frames and frame.step <= frames[-1].step]
        # A learning-rate finder restores the fit that it interrupts: what is here holds more than what was carried.
        self.frames = here if {f.step for f in frames} <= {f.step for f in here} else frames
        self.anatomy = decode(Anatomy, state["anatomy"]) if "anatomy" in state else self.anatomy
        pulses = state.get("pulses")  # absent from older states
        self.pulses = [decode(Pulse, item) for item in pulses] if pulses is not None else [*map(pulse, self.frames)]


def _thinned(frames: list[Frame]) -> list[Frame]:
    """An even choice of frames, the last one always in it, that a checkpoint can carry."""
    flows = [ledger for frame in frames for ledger in (*frame.ledgers, *frame.branches)]
    inside = sum(len(f.parameters) + len(f.operations) + sum(len(p.decades) for p in f.times) for f in frames)
    numbers = inside + sum(len(ledger.segments) for ledger in flows)
    step = max(1, -(-numbers // _CARRIED))
    return frames[::-1][::step][::-1]
