"""What a remedy is: which causes it cures, how well, and what it says to this finding in this network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding


@dataclass(frozen=True, kw_only=True)
class Cure:
    """What a remedy does against one kind of cause."""

    fit: float  # 0..1: how much of what this cause took it gives back, where it applies
    why: str  # one sentence


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What a remedy says to one finding in one network."""

    cause: CauseKind  # the one it is given for
    fit: float  # 0..1, for this finding in this network
    advice: str  # what to do, one sentence
    reason: str  # why this one here, with numbers
    title: str = ""  # where it depends on the network; else the remedy's own


class RemedyRule(ABC):
    """Base of all remedies.  Subclasses set the class attributes and ``weigh``.

    A file in this folder with such a class is found by scanning; other packages offer theirs through the entry-point
    group ``lightning_gradwatch.remedies``.

    ``Cure.fit`` follows what was measured on digit classifiers of up to 30 layers.  Eight vanished ones, fitted again
    from two seeds: ReLU with He cured 14 of 16; new weights with Adam 10 of 10 whose weights were to blame and 0 of 6
    whose sigmoids were; learning-rate decay 0 of 16.  Thirteen of 20 layers, 150 steps under three optimizers, two
    seeds: with sigmoids, batch normalisation got 87 % of unseen digits right and residual connections 43 %; where the
    weights were too small the two came out alike.
    """

    name: ClassVar[str]  # "InsertNormalization"
    title: ClassVar[str]  # "batch normalisation"
    source: ClassVar[str]  # paper and equation
    cures: ClassVar[Mapping[CauseKind, Cure]]

    @abstractmethod
    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """How well it fits this finding in this network, and in which words; None: it does not apply."""

    def target(self, finding: Finding) -> Cause | None:
        """The cause in this finding of which it gives back most; None: it cures none of them."""
        cured = [cause for cause in finding.causes if cause.kind in self.cures]
        return max(cured, key=lambda cause: cause.share * self.cures[cause.kind].fit, default=None)

    def because(self, cause: Cause) -> str:
        """Why this remedy cures the cause, and how much of the finding that cause explains."""
        kind = cause.kind.value.replace("_", " ").replace("ization", "isation")
        return f"{self.cures[cause.kind].why.rstrip('.')} ({kind} explains {100 * cause.share:.0f} %)."
