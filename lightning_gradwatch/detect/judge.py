"""Symptoms -> findings: persistence, hysteresis, one finding per sickness, and memory of those that healed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lightning_gradwatch.detect.folding import folded, merged
from lightning_gradwatch.detect.profiles import PROFILES, Profile
from lightning_gradwatch.detect.symptom import Detector, Symptom
from lightning_gradwatch.records import Finding, Frame
from lightning_gradwatch.records.codec import decode, encode
from lightning_gradwatch.records.formats import is_used, rounds_away
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# A finding is resolved after so many measured steps without it.
CALM = 3
THRESHOLDS = (
    Threshold(
        name="resolved after", value=CALM, unit="measured steps", why="a symptom that comes and goes has not healed"
    ),
)


@dataclass(frozen=True)
class Change:
    """What one frame changed: a finding opened, got another severity, or was resolved."""

    what: str  # "opened", "changed", "resolved"
    finding: Finding


@dataclass
class _Record:
    """What the judge remembers of one symptom."""

    streak: int = 0
    calm: int = 0
    first_step: int = -1
    finding: Finding | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has a finding that has not healed."""
        return self.finding is not None and not self.finding.resolved

    def follow(self, symptoms: Sequence[Symptom]) -> None:
        """Note what follows from an open finding; each kind once, as it was first seen."""
        if self.finding is not None:
            known = {sentence.partition(":")[0] for sentence in self.finding.consequences}
            new = [f"{symptom.kind}: {symptom.summary}" for symptom in symptoms if str(symptom.kind) not in known]
            self.finding = replace(self.finding, consequences=(*self.finding.consequences, *new))


def detectors(profile: Profile = "gradwatch") -> tuple[Detector, ...]:
    """One of each detector in this folder, or in the folder of another profile."""
    found: list[Detector] = []
    package = importlib.import_module(PROFILES[profile])
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for item in vars(module).values():
            own = isinstance(item, type) and item.__module__ == module.__name__
            if own and hasattr(item, "kind") and hasattr(item, "patience"):
                found.append(item())
    return tuple(found)


class Judge:
    """Turns frames, in the order of their steps, into findings.

    Example:
        >>> Judge().judge(Frame(step=0, global_step=0, epoch=0, batch=0, loss=None))
        []
    """

    def __init__(self, panel: Sequence[Detector] | None = None) -> None:
        self._panel = detectors() if panel is None else tuple(panel)
        self.excuse: Callable[[Finding], Finding] = _as_it_is  # what a user silenced is left as an information
        self._records: dict[str, _Record] = {}
        self._history = History()
        self.suspects = False  # whether the last frame showed a symptom that has begun to count and is no finding yet

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings so far, worst first: open before resolved, then by severity, then by first step."""
        found = [record.finding for record in self._records.values() if record.finding is not None]
        return tuple(sorted(found, key=lambda f: (f.resolved, -f.severity.rank, f.first_step, f.id)))

    @property
    def history(self) -> History:
        """What the frames so far told."""
        return self._history

    def judge(self, frame: Frame) -> list[Change]:
        """Take one more frame into account; what it changed."""
        self._history.add(frame)
        seen = [(s, detector.patience) for detector in self._panel for s in detector.examine(frame, self._history)]
        patience = {id(symptom): patience for symptom, patience in seen}
        is_open = {key: record.is_open for key, record in self._records.items()}
        excused = {key for key, record in self._records.items() if record.finding and record.finding.ignored}
        kept, consequences = folded(merged(symptom for symptom, _ in seen), is_open, excused)
        changes = [self._weigh(symptom, frame, patience[id(symptom)]) for symptom in kept]
        for root, followers in consequences.items():
            changes += self._fold(self._records[root], followers, frame)
        weighed = [self._records[symptom.id] for symptom in kept]
        self.suspects = any(record.streak > 0 and not record.is_open for record in weighed)
        # What follows from a finding was noted in it after its change was.
        return [Change(c.what, self._records[c.finding.id].finding or c.finding) for c in changes if c is not None]

    def _fold(self, root: _Record, followers: Sequence[Symptom], frame: Frame) -> list[Change]:
        """Note what follows from a finding in it; findings that were there before it end in it."""
        if root.finding is None:
            return []
        root.follow(followers)
        ended: list[Change] = []
        for symptom in followers:
            record = self._records.get(symptom.id)
            if record is not None and record.is_open and record.finding is not None:
                where = f" in {root.finding.layers[0]}" if root.finding.layers else ""
                summary = f"{record.finding.summary}; it follows from {root.finding.kind}{where}"
                record.finding = replace(record.finding, resolved=True, resolved_step=frame.step, summary=summary)
                record.streak = 0
                ended.append(Change("resolved", record.finding))
        return ended

    def _weigh(self, symptom: Symptom, frame: Frame, patience: int) -> Change | None:
        return _weigh(self._records.setdefault(symptom.id, _Record()), symptom, frame, patience, self.excuse)

    def amend(self, finding: Finding) -> None:
        """Put a finding with causes and remedies in the place of the bare one."""
        self._records[finding.id].finding = finding

    def begin_anew(self, step: int) -> list[Change]:
        """The network is another one from now on: findings end here, and what was measured tells nothing more."""
        ended: list[Change] = []
        for record in self._records.values():
            if record.is_open and record.finding is not None:
                record.finding = replace(record.finding, resolved=True, resolved_step=step)
                ended.append(Change("resolved", record.finding))
            record.streak = record.calm = 0
        self._history, self.suspects = History(), False
        return ended

    def state(self) -> dict[str, Any]:
        """All memory, as JSON data."""
        return {
            **self._history.state(),
            "records": {
                key: {"streak": r.streak, "calm": r.calm, "first_step": r.first_step, "finding": encode(r.finding)}
                for key, r in self._records.items()
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self._history = History.restored(state)
        self._records = {key: _restored(item) for key, item in state["records"].items()}


def _restored(item: dict[str, Any]) -> _Record:
    finding = None if item["finding"] is None else decode(Finding, item["finding"])
    return _Record(item["streak"], item["calm"], item["first_step"], finding)


def _as_it_is(finding: Finding) -> Finding:
    return finding


def _weigh(
    record: _Record, symptom: Symptom, frame: Frame, patience: int, excuse: Callable[[Finding], Finding]
) -> Change | None:
    is_open = record.is_open
    if symptom.lingers if is_open else symptom.present:
        record.calm = 0
        return _ill(record, symptom, frame, patience, excuse)
    record.streak = 0
    record.calm += 1
    if is_open and record.calm >= CALM and record.finding is not None:
        record.finding = replace(record.finding, resolved=True, resolved_step=frame.step)
        return Change("resolved", record.finding)
    return None


def _ill(
    record: _Record, symptom: Symptom, frame: Frame, patience: int, excuse: Callable[[Finding], Finding]
) -> Change | None:
    is_open = record.is_open
    if record.streak == 0 and not is_open:
        record.first_step = frame.step
    record.streak += patience == 1 or _proves(symptom, frame)
    if record.streak < patience and not is_open:
        return None
    old = record.finding
    found = _finding(record, symptom, frame, old if is_open else None)
    if old is None or not is_open or old.ignored:  # what rings goes on ringing: alarms do not flicker
        found = excuse(found)
    record.finding = found
    if old is None or not is_open or (old.ignored and not found.ignored):  # no longer silenced: it is news
        return Change("opened", found)
    return Change("changed", found) if old.severity != found.severity else None


def _proves(symptom: Symptom, frame: Frame) -> bool:
    """Whether the step counts: one that moved no weights (rate 0 in a warm-up, skipped by the scaler) does not.

    Unless it moved none for want of digits, or for the very sickness.
    """
    return frame.moved or rounds_away(frame) or (symptom.stills and is_used(frame))


def _finding(record: _Record, symptom: Symptom, frame: Frame, old: Finding | None) -> Finding:
    if old is not None and symptom.keeps:
        return replace(old, severity=symptom.severity, last_step=frame.step)
    return Finding(
        id=symptom.id,
        kind=symptom.kind,
        severity=symptom.severity,
        summary=symptom.summary,
        layers=symptom.layers,
        first_step=record.first_step,
        last_step=frame.step,
        evidence=symptom.evidence,
        causes=() if old is None else old.causes,
        remedies=() if old is None else old.remedies,
        consequences=() if old is None else old.consequences,
        ignored=None if old is None else old.ignored,
    )
