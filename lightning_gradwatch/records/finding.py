"""What was found, why, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class _Word(str, Enum):
    """An enum whose members are, print as, and compare equal to their plain words."""

    def __str__(self) -> str:
        return str(self.value)

    __format__ = str.__format__


class Kind(_Word):
    """The kinds of sickness."""

    VANISHING = "vanishing"
    EXPLODING = "exploding"
    DEAD_UNITS = "dead_units"
    SATURATION = "saturation"
    NONFINITE = "nonfinite"
    DISCONNECTED = "disconnected"
    STALLED = "stalled"


class CauseKind(_Word):
    """The kinds of cause."""

    ACTIVATION = "activation"
    DEPTH = "depth"
    INITIALIZATION = "initialization"
    NORMALIZATION = "normalization"
    RECURRENCE = "recurrence"
    LEARNING_RATE = "learning_rate"
    PRECISION = "precision"
    DISCONNECTED = "disconnected"
    DATA = "data"
    LOSS = "loss"
    RESIDUAL = "residual"
    NUMERICS = "numerics"


class Severity(_Word):
    """How bad: ``info < warning < critical``.  ``info`` is never an alarm."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for critical."""
        return ("info", "warning", "critical").index(self.value)

    def __lt__(self, other: object) -> bool:
        return self.rank < Severity(other).rank

    def __le__(self, other: object) -> bool:
        return self.rank <= Severity(other).rank

    def __gt__(self, other: object) -> bool:
        return self.rank > Severity(other).rank

    def __ge__(self, other: object) -> bool:
        return self.rank >= Severity(other).rank


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A named number with its unit: the only form of evidence."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One reason for a finding."""

    kind: CauseKind
    code: str  # the rule that says so: "GW101"
    title: str
    share: float  # of the finding that this cause explains, 0..1; the shares of a finding add up to 1
    sentence: str
    evidence: tuple[Quantity, ...] = ()
    proof: str | None = None  # what a trial without this factor alone measured, one sentence
    recovered: float | None = None  # share of what was lost that came back in that trial, 0..1


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """One piece of advice."""

    name: str  # "Initialize"
    title: str  # "He initialisation"
    advice: str  # what to do
    reason: str  # why this one, for this finding in this network
    cures: tuple[CauseKind, ...]
    source: str  # where it comes from


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sickness of one fit."""

    id: str  # unique within a fit: "vanishing:loss"
    kind: Kind
    severity: Severity
    summary: str  # one sentence
    layers: tuple[str, ...]  # module names as named_modules() says them, worst first
    first_step: int  # where the symptom began
    last_step: int  # the last measured step that showed it
    resolved: bool = False
    resolved_step: int | None = None
    evidence: tuple[Quantity, ...] = ()
    causes: tuple[Cause, ...] = ()  # biggest share first; ties in the order of what trials brought back
    remedies: tuple[Remedy, ...] = ()  # best first
    consequences: tuple[str, ...] = ()  # what else was seen because of it, a sentence each
    ignored: str | None = None  # the reason that the user gave for not wanting to hear of it; its severity is "info"

    @property
    def is_alarm(self) -> bool:
        """Whether it is open and more than an information."""
        return not self.resolved and self.severity > Severity.INFO
