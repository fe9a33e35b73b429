"""Ranks what the remedies advise."""

from __future__ import annotations

import warnings
from collections import defaultdict

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Remedy
from lightning_gradwatch.remedies.base import Advice, RemedyRule
from lightning_gradwatch.remedies.registry import is_own, remedies


def prescribe(finding: Finding, anatomy: Anatomy) -> tuple[Remedy, ...]:
    """The remedies for a finding in that network, best first: by the share of the cause times how well each fits.

    A remedy counts for the one cause of which it gives back most; a cause's share is the sum over rules of its kind.

    Example:
        >>> from lightning_gradwatch.records import Cause, Kind, Severity
        >>> cause = Cause(kind=CauseKind.ACTIVATION, code="GW101", title="", share=1.0, sentence="")
        >>> finding = Finding(id="vanishing:loss", kind=Kind.VANISHING, severity=Severity.CRITICAL, summary="",
        ...                   layers=(), first_step=0, last_step=2, causes=(cause,))
        >>> prescribe(finding, Anatomy(activations=(("1", "Sigmoid"),)))[0].title
        'ReLU with He initialisation'
    """
    shares = _shares(finding)
    weighed = [(rule, advice) for rule in remedies() if (advice := _weigh(rule, finding, anatomy)) is not None]
    weighed.sort(key=lambda pair: (-shares.get(pair[1].cause, 0.0) * pair[1].fit, pair[0].name))
    return tuple(_remedy(rule, advice, shares) for rule, advice in weighed)


def _shares(finding: Finding) -> dict[CauseKind, float]:
    shares: dict[CauseKind, float] = defaultdict(float)
    for cause in finding.causes:
        shares[cause.kind] += cause.share
    return dict(shares)


def _weigh(rule: RemedyRule, finding: Finding, anatomy: Anatomy) -> Advice | None:
    try:
        return rule.weigh(finding, anatomy)
    except Exception as error:
        if is_own(rule):
            raise
        warnings.warn(f"The remedy {rule.name!r} is left out: {error!r}", stacklevel=3)
        return None


def _remedy(rule: RemedyRule, advice: Advice, shares: dict[CauseKind, float]) -> Remedy:
    cured = [kind for kind in shares if kind in rule.cures]
    return Remedy(
        name=rule.name,
        title=advice.title or rule.title,
        advice=advice.advice,
        reason=advice.reason,
        cures=tuple(sorted(cured, key=lambda kind: (kind is not advice.cause, -shares[kind]))),
        source=rule.source,
    )
