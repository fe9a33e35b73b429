"""Vanishing along depth: the gradient is lost between the head and a layer that should learn from it.

Judged on what the ledger says of the way from the head down, relative to the head: the same for any scale of the loss,
and for a fit that has converged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar

from lightning_gradwatch.detect.exhausted import exhausted
from lightning_gradwatch.detect.symptom import Symptom, known
from lightning_gradwatch.records import Frame, Kind, Ledger, Quantity, Severity
from lightning_gradwatch.records.flow import flow_by_layer
from lightning_gradwatch.records.formats import format_end
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.inside import MARGIN, flow_inside
from lightning_gradwatch.records.threshold import Threshold

# Decades below the head.  Over about a hundred small fits, sick ones lose 4.6 or more at every sample, healthy ones
# less than 1.3 once their first steps are over; shallow networks with torch's default weights start at up to 3.2 and
# recover by themselves.  4 and 2.5 stand between.
ENTER = 4.0
LEAVE = 2.5
# At 6 decades float32 updates of a starved layer round away beside its weights.
CRITICAL = 6.0
# Fed well enough to learn: an update at least a tenth of the head's, while the loss falls.
FED = 0.1
# A hundredth for less than a third of the way through a branch: what selects or gates others may well be slow.
FED_BESIDE, PART = 0.01, 1 / 3
# An update that is little more than what weight decay takes is none of the gradient's.
_OWN = 1.5


class Vanishing:
    """Names the layers that get hardly any of the head's gradient."""

    kind: ClassVar[Kind] = Kind.VANISHING
    patience: ClassVar[int] = 3
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="opens at",
            value=ENTER,
            unit="decades below the head",
            why="sick fits lose 4.6 and more, healthy ones recover from at most 3.2: own fits",
        ),
        Threshold(
            name="stays open down to",
            value=LEAVE,
            unit="decades below the head",
            why="between healthy and sick: own fits",
        ),
        Threshold(
            name="critical at",
            value=CRITICAL,
            unit="decades below the head",
            why="float32 updates round away beside the weights",
        ),
        Threshold(
            name="fed",
            value=FED,
            unit="of the head's update",
            why="with such updates and a falling loss it is an information",
        ),
        Threshold(
            name="fed beside the trunk",
            value=FED_BESIDE,
            unit="of the head's update",
            why="a part that selects or gates others may well be slow",
        ),
        Threshold(name="a part of a branch", value=PART, unit="of its layers", why="more is the branch itself"),
        Threshold(
            name="owed to weight decay",
            value=_OWN,
            unit="times the decay",
            why="updates below that are not the gradient's",
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom for each ledger that can be read."""
        if frame.skipped:
            return
        for ledger, place in [*((one, "") for one in frame.ledgers), *((one, "/branch") for one in frame.branches)]:
            exact = _without_factor(ledger, flow_by_layer(ledger))
            inside = flow_inside(frame, ledger, exact)
            flow = {**exact, **inside}
            # An exact zero out of nothing is a path that is dead, an infinity or nan one that is broken: other
            # detectors say so.  One that the gradient fades into is an underflow: what vanished most.
            finite = [value for value in flow.values() if value != -math.inf]
            if not all(map(math.isfinite, (ledger.start, *finite))):
                continue
            whole = finite == [*flow.values()] or underflows(ledger, flow)
            # Beside the trunk the rest learns whatever happens there: it is the branch's own steps that tell.
            symptom = _symptom(frame, history, ledger, flow, inside, beside=bool(place)) if whole else None
            end = format_end(ledger)
            if end is not None and not (symptom and symptom.present):
                symptom = exhausted(frame, history, ledger, end)
            if symptom is not None:
                yield replace(symptom, id=symptom.id + place)


def underflows(ledger: Ledger, flow: Mapping[str, float]) -> bool:
    """Whether the gradient faded into exact zeros because its number format had nothing smaller.

    Args:
        ledger: the ledger.
        flow: what ``flow_in`` says of it.
    """
    told = any(segment.dtype for segment in ledger.segments)  # not in what was recorded by older versions
    # Inside an opaque operation no format is seen.
    return fades(flow) and (not told or bool(ledger.below) or format_end(ledger) is not None)


def _without_factor(ledger: Ledger, flow: dict[str, float]) -> dict[str, float]:
    """Excuse the first of two weights that nothing stands between: they are two factors of one layer (LoRA).

    Its gradient is small while the other factor is, which begins at zero by design; the layer as a whole is fed.
    """
    last = ledger.body[-1] if ledger.body else None
    if last is None or last.family != "linear" or not last.modules:
        return flow
    other = flow[last.modules[0]]
    return {**flow, ledger.target_layer: max(flow[ledger.target_layer], other)} if other > -LEAVE else flow


def fades(flow: Mapping[str, float]) -> bool:
    """Whether a gradient that ends in exact zeros faded before: it underflowed its number format, nothing cut it off.

    Args:
        flow: what ``flow_in`` says.

    Example:
        >>> fades({"head": 0.0, "b": -6.5, "a": -float("inf")}), fades({"head": 0.0, "a": -float("inf")})
        (True, False)
    """
    finite = [value for value in flow.values() if math.isfinite(value)]
    return -math.inf in flow.values() and min(finite, default=0.0) <= -LEAVE


def _symptom(
    frame: Frame,
    history: History,
    ledger: Ledger,
    flow: Mapping[str, float],
    inside: Mapping[str, float],
    *,
    beside: bool,
) -> Symptom:
    # What the parameters' gradients tell is an estimate, and has to be the clearer for it.
    clear = {layer: level + MARGIN * (layer in inside) for layer, level in flow.items()}
    starved = tuple(sorted((layer for layer in flow if clear[layer] <= -LEAVE), key=flow.__getitem__))
    worst = starved[0] if starved else ledger.target_layer
    ratio = _relative_update(frame, starved, flow)
    lost = -min(level for level in flow.values() if level != -math.inf)
    judged = -min(level for level in clear.values() if level != -math.inf)
    underflows = flow[worst] == -math.inf
    fed = FED_BESIDE if beside and len(starved) < PART * len(flow) else FED
    gets = f"10^-{lost:.1f} of the gradient that the head gets"
    if underflows:
        gets = f"nothing: the gradient underflows to zero after {lost:.1f} decades"
    return Symptom(
        id=f"vanishing:{ledger.name}",
        kind=Kind.VANISHING,
        present=judged >= ENTER or underflows,
        lingers=judged >= LEAVE,
        severity=_severity(math.inf if underflows else judged, ratio, history.learns or beside, fed),
        summary=f"{worst} gets {gets}{_how(ledger, inside, worst)}",
        layers=starved,
        evidence=(
            Quantity(name="decades lost", value=lost, unit="decades"),
            Quantity(name="starved layers", value=float(len(starved)), unit="layers"),
            Quantity(name="layers on the way", value=float(len(flow)), unit="layers"),
            *known("layers judged by parameter gradients", float(len(inside)) or None, "layers"),
            *known("blocks with a skip connection", _skips(ledger) or None, "blocks"),
            *known("update of the starved layers beside the head's", ratio, "ratio"),
            *known("drop of the loss so far", history.progress, "of its start"),
        ),
    )


def _how(ledger: Ledger, inside: Mapping[str, float], worst: str) -> str:
    """How that is known, where it is not measured in the graph itself."""
    if worst not in inside:
        return ""
    return f", judged by parameter gradients: the graph holds {' and '.join(ledger.closed)}"


def _skips(ledger: Ledger) -> float:
    """Blocks that the gradient passes and passes around: they end in a sum."""
    blocks = [segment for segment in ledger.body if segment.family == "block" and segment.modules]
    return float(sum(any(item.name == "Add" for item in block.operations) for block in blocks))


def _severity(lost: float, update: float | None, learns: bool, fed: float) -> Severity:
    """Flow says that it vanishes; harm, seen in updates and in the loss, says how bad that is."""
    if update is not None and update >= fed and learns:
        return Severity.INFO
    return Severity.CRITICAL if lost >= CRITICAL and not learns else Severity.WARNING


def _relative_update(frame: Frame, starved: tuple[str, ...], flow: Mapping[str, float]) -> float | None:
    """Largest ||update||/||weights|| of the worst starved layer over that of the head; None where not measured."""
    if not starved:
        return None
    worst, head = _update(frame, starved[0]), _update(frame, next(iter(flow)))
    return None if worst is None or not head else worst / head


def _update(frame: Frame, layer: str) -> float | None:
    """||update||/||weights|| of a layer, as far as its gradient moved it: weight decay moves starved weights too."""
    decays = {reading.index: reading.decay for reading in frame.optimizers}
    rate = max(frame.rates, default=0.0)
    updates = [
        0.0 if r.update <= _OWN * rate * decays.get(r.optimizer, 0.0) else r.update
        for r in frame.parameters
        if r.update is not None and r.name.startswith(layer + ".") and not r.name.endswith("bias")
    ]
    return max(updates, default=None)
