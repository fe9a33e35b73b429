"""A report held against a bar: its worst finding, or what was recorded once."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Accepted, Finding, Severity
from lightning_gradwatch.records.codec import FORMAT, decode, encode, loads
from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.records.lines import check_format
from lightning_gradwatch.report import words
from lightning_gradwatch.report.report import Report

_KIND = "gradwatch baseline"
# Decades (a factor of 3) that a layer may lose against the record before that counts as worse: networks that differ by
# their random numbers alone differ by up to half a decade over 20 layers.
TOLERANCE = 0.5


@dataclass(frozen=True)
class Gate:
    """Whether a report passes.

    Args:
        report: of a checkup.
        least: the mildest finding that fails it.
        recorded: if there is one, only what is worse than that fails it.

    Example:
        >>> Gate(Report()).passes
        True
    """

    report: Report
    least: Severity = Severity.WARNING
    recorded: Accepted | None = None

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that have not healed, worst first."""
        return tuple(finding for finding in self.report.sorted_findings if not finding.resolved)

    @property
    def failing(self) -> tuple[Finding, ...]:
        """Those that are bad enough, and worse than recorded."""
        return tuple(finding for finding in self.open if finding.severity >= self.least and self._is_news(finding))

    @functools.cached_property
    def worse(self) -> tuple[str, ...]:
        """What has become worse than recorded, a sentence each."""
        return () if self.recorded is None else tuple(self._worse(self.recorded))

    @property
    def passes(self) -> bool:
        """Whether nothing fails it."""
        return not self.failing and not self.worse

    def _is_news(self, finding: Finding) -> bool:
        before = None if self.recorded is None else self.recorded.findings.get(finding.id)
        return before is None or finding.severity > before

    def _worse(self, recorded: Accepted) -> Iterator[str]:
        now = baseline(self.report)
        for finding in self.failing:
            title, before = words.TITLES[finding.kind], recorded.findings.get(finding.id)
            was = "was not there" if before is None else f"was {before}"
            yield f"{title} ({finding.severity}) {was} when the baseline was recorded: {finding.summary}"
        for ledger, then in recorded.flow.items():
            if ledger in now.flow:
                yield from _lost(ledger, then, now.flow[ledger])
            else:
                yield f"no gradient flow of {ledger} was measured, which the baseline has"


def baseline(report: Report) -> Accepted:
    """What later reports of the same network are to be held against."""
    first = next(iter(report.frames), None)
    ledgers = () if first is None else first.ledgers
    return Accepted(
        name=report.name,
        flow={ledger.name: flow_in(first, ledger) for ledger in ledgers if first is not None},
        findings={finding.id: finding.severity for finding in report.findings if not finding.resolved},
    )


def _lost(ledger: str, then: dict[str, float], now: dict[str, float]) -> Iterator[str]:
    """The layer that has lost most; where layers go by other names, the one that gets least stands for them."""
    shared = {layer: (then[layer], level) for layer, level in now.items() if layer in then}
    if set(then) != set(now) and then and now:
        shared[least] = (min(then.values()), now[least := min(now, key=now.__getitem__)])
    lost = {layer: _loss(*levels) for layer, levels in shared.items()}
    worst = max(lost, key=lost.__getitem__, default=None)
    if worst is not None and lost[worst] > TOLERANCE:
        before, after = shared[worst]
        yield (
            f"{words.short(worst)} gets {words.part(after)} the head's gradient ({words.short(ledger)}), where it got "
            f"{words.part(before)} it when the baseline was recorded: {_decades(lost[worst])} less"
        )


def _loss(before: float, after: float) -> float:
    if math.isnan(after) or math.isnan(before):
        return math.inf if math.isnan(after) and not math.isnan(before) else 0.0
    return 0.0 if before == after else before - after


def _decades(lost: float) -> str:
    return f"{lost:.1f} decades" if math.isfinite(lost) else "infinitely"


def baseline_text(recorded: Accepted) -> str:
    """The baseline as the text of a file."""
    return json.dumps({"format": FORMAT, "kind": _KIND, **encode(recorded)}, indent=1) + "\n"


def baseline_of(text: str, what: str = "baseline") -> Accepted:
    """The baseline that ``baseline_text`` wrote.

    Raises:
        UnreadableRecord: the text is damaged, foreign or of a newer format.
    """
    data = loads(text, what)
    if not isinstance(data, dict) or data.get("kind") != _KIND:  # pyright: ignore[reportUnknownMemberType]
        raise UnreadableRecord(f"{what}: this is not a baseline of lightning-gradwatch.")
    fields: dict[str, object] = {**data}
    check_format(fields.get("format"), what)
    return decode(Accepted, fields)
