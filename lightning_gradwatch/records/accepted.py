"""What was good enough once: the flow and the findings that later checkups are held against."""

from __future__ import annotations

from dataclasses import dataclass, field

from lightning_gradwatch.records.finding import Severity


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """How gradients flowed before the first step, and what was found, when it was recorded."""

    name: str = ""  # of what was checked
    # Ledger -> layer -> decades at its output beside the head's.
    flow: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    findings: dict[str, Severity] = field(default_factory=dict[str, Severity])  # id of an open finding -> how bad
