"""How a rule of SageMaker Debugger says what it saw."""

from __future__ import annotations

from collections.abc import Iterable

from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Kind, Quantity, Severity


def said(
    rule: str, kind: Kind, text: str, layers: Iterable[str] = (), *evidence: Quantity, clause: str = ""
) -> Symptom:
    """What a rule says of one frame: a symptom that is there where there is a text.

    Args:
        rule: the rule's name in SageMaker Debugger.
        kind: our kind for it.
        text: what it saw; "" where it saw nothing.
        layers: where, worst first.
        evidence: the numbers that it decided by.
        clause: tells the clauses of a rule apart that mean different kinds.

    Example:
        >>> said("VanishingGradient", Kind.VANISHING, "a.weight is small", ["a"]).summary
        'VanishingGradient: a.weight is small'
    """
    return Symptom(
        id=f"sagemaker:{rule}{clause and f'.{clause}'}",
        kind=kind,
        present=bool(text),
        lingers=bool(text),
        severity=Severity.CRITICAL if kind is Kind.NONFINITE else Severity.WARNING,
        summary=f"{rule}: {text}",
        layers=tuple(dict.fromkeys(layers)),
        evidence=evidence,
        alone=True,
    )
