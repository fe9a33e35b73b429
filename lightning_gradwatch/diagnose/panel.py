"""Asks every rule about a finding and makes shares of their answers."""

from __future__ import annotations

import functools
import importlib
import math
import pkgutil
from collections.abc import Sequence

from lightning_gradwatch.diagnose.base import Answer, Rule
from lightning_gradwatch.diagnose.evidence import gather
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Anatomy, Cause, Finding, Frame
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# A cause that explains less than this is not worth a line.
_LEAST = 0.01
THRESHOLDS = (
    Threshold(
        name="least share", value=_LEAST, unit="of a finding", why="a cause that explains less is not worth a line"
    ),
)


@functools.cache
def rules() -> tuple[Rule, ...]:
    """One of each rule in this folder, by code."""
    found: dict[str, Rule] = {}
    package = importlib.import_module(__package__ or "lightning_gradwatch.diagnose")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Rule) and item.code:
                found[item.code] = item()
    return tuple(found[code] for code in sorted(found))


def rule(code: str) -> Rule:
    """The rule with that code, in any case.

    Raises:
        WrongArgument: there is none; the message lists those there are.
    """
    for one in rules():
        if one.code == code.upper():
            return one
    raise WrongArgument("code", "the code of a rule", code, [one.code for one in rules()])


def explain(
    finding: Finding,
    frame: Frame,
    anatomy: Anatomy,
    history: History | None = None,
    start: Frame | None = None,
) -> tuple[Cause, ...]:
    """The causes of a finding, biggest share first; their shares add up to 1.

    Args:
        finding: what was found.
        frame: the frame that showed it.
        anatomy: what the network is made of.
        history: what the frames before told, that one included.
        start: the first frame of the fit.
    """
    evidence = gather(finding, frame, anatomy, history or History(), start)
    asked = [(one, one.ask(evidence)) for one in rules() if finding.kind in one.findings]
    held = [(one, told) for one, told in asked if told is not None and told.holds and math.isfinite(told.weight)]
    return _shares(held)


def _shares(held: Sequence[tuple[Rule, Answer]]) -> tuple[Cause, ...]:
    whole = sum(answer.weight for _, answer in held)
    told = [(one, answer) for one, answer in held if whole > 0 and answer.weight / whole >= _LEAST]
    whole = sum(answer.weight for _, answer in told)
    causes = [
        Cause(
            kind=one.kind,
            code=one.code,
            title=one.title,
            share=answer.weight / whole,
            sentence=answer.sentence,
            evidence=answer.evidence,
        )
        for one, answer in told
    ]
    return tuple(sorted(causes, key=lambda cause: (-cause.share, cause.code)))
