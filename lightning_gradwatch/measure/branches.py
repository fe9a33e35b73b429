"""Which layer beside the trunk is to have a ledger of its own: the one that got least on the measured step before."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from lightning_gradwatch.records import Frame, Ledger, ParameterReading
from lightning_gradwatch.records.inside import log_strength
from lightning_gradwatch.records.names import module_of

# A second ledger is paid for only where a layer is this many decades below the best fed one of the trunk.
_BEHIND = 2.0


def starved_branch(frame: Frame | None, name: str, reached: Collection[str]) -> str | None:
    """The parameter to which a side ledger should lead; None: no branch is far behind the trunk.

    Follows from the frame alone, so that a resumed fit and every rank choose the same.

    Args:
        frame: the measured step before.
        name: the loss's ledger.
        reached: the parameters that this loss reaches now.
    """
    ledger = next((one for one in frame.ledgers if one.name == name), None) if frame is not None else None
    if frame is None or ledger is None:
        return None
    trunk = set(_trunk(ledger))
    told = [reading for reading in frame.parameters if _tells(reading)]
    told_of_trunk = [reading for reading in told if module_of(reading.name) in trunk]
    best = max(map(log_strength, told_of_trunk or told), default=-math.inf)
    beside = [r for r in told if module_of(r.name) not in trunk and r.name in reached]
    worst = min(beside, key=log_strength, default=None)
    if worst is None or not math.isfinite(best) or log_strength(worst) > best - _BEHIND:
        return None
    return worst.name


def _trunk(ledger: Ledger) -> Iterator[str]:
    """The modules that the ledger shows one by one; those inside a block with several ways are none of them."""
    yield ledger.target_layer
    for segment in ledger.body:
        if segment.family != "block" or len(segment.modules) == 1:
            yield from segment.modules
    yield from ledger.below


def _tells(reading: ParameterReading) -> bool:
    return reading.fan > 1 and reading.norm is not None and math.isfinite(reading.norm)
