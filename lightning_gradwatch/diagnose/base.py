"""What a rule is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lightning_gradwatch.diagnose.shared import SHARED
from lightning_gradwatch.records import CauseKind, Kind, Quantity
from lightning_gradwatch.records.threshold import Threshold, table


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a rule says: it holds with that weight, or it does not hold (``holds=False``).

    The third answer, "does not apply", is None: the evidence that the rule needs is not there.
    """

    holds: bool
    weight: float = 0.0  # decades that this cause explains; weights of all rules that hold become shares
    sentence: str = ""
    evidence: tuple[Quantity, ...] = ()


NO = Answer(holds=False)


class Rule:
    """Base of all rules.  Subclasses set the class attributes and ``check``.

    ``check`` takes any of the evidence in ``diagnose.evidence`` by parameter name.  Where a piece of evidence that it
    names is missing (None), the rule does not apply and is not asked; a parameter with a default may be missing.
    """

    code: ClassVar[str] = ""
    title: ClassVar[str] = ""
    kind: ClassVar[CauseKind]
    findings: ClassVar[tuple[Kind, ...]] = (Kind.VANISHING,)
    looks_for: ClassVar[str] = ""
    harm: ClassVar[str] = ""
    false_alarms: ClassVar[str] = ""
    example: ClassVar[str] = ""
    remedy: ClassVar[str] = ""
    is_remedy_safe: ClassVar[str] = ""
    sources: ClassVar[tuple[str, ...]] = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = ()  # of the rule itself; its evidence has some of its own
    check: ClassVar[Callable[..., Answer | None]]

    @property
    def needs(self) -> tuple[str, ...]:
        """The evidence without which the rule does not apply, by the names of ``diagnose.evidence``."""
        parameters = inspect.signature(self.check).parameters.values()
        return tuple(p.name for p in parameters if p.default is inspect.Parameter.empty)

    def ask(self, evidence: Mapping[str, Any]) -> Answer | None:
        """The rule's answer on this evidence; None: it does not apply."""
        if any(evidence.get(name) is None for name in self.needs):
            return None
        return self.check(**{name: evidence.get(name) for name in inspect.signature(self.check).parameters})

    def page(self) -> str:
        """The rule's page, in Markdown: the same headings for every rule."""
        sections = (
            ("What it looks for", self.looks_for),
            ("Why it harms", self.harm),
            ("Known false alarms", self.false_alarms),
            ("Example", f"```python\n{inspect.cleandoc(self.example)}\n```"),
            ("Remedy", self.remedy),
            ("Is the remedy safe?", self.is_remedy_safe),
            ("Thresholds", self._thresholds()),
            ("Sources", "\n".join(f"- {source}" for source in self.sources)),
        )
        head = (
            f"# {self.code} {self.title}\n\nCause: **{self.kind}**. Explains: {', '.join(map(str, self.findings))}. "
            f"Needs: {', '.join(self.needs)}.\n"
        )
        return head + "".join(f"\n## {title}\n\n{_dedent(text)}\n" for title, text in sections if text)

    def _thresholds(self) -> str:
        """Its own, then those of the evidence that it asks for."""
        asked = [name for name in inspect.signature(self.check).parameters if name in SHARED]
        shared = [f"Of the evidence `{name}`:\n\n{table(SHARED[name])}" for name in asked]
        return "\n\n".join(filter(None, [table(self.thresholds), *shared]))


def _dedent(text: str) -> str:
    return inspect.cleandoc(text)
