"""Who drove activations to their flat ends, or units to where they let nothing through.

An activation that was flat on the first measured step was made so by its weights or by its input, in proportion to the
decades by which each is too large; one that was open then, by the steps since, if they were bold or the weights have
grown; and by itself where none of these is to be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_gradwatch.diagnose.course import BOLD
from lightning_gradwatch.diagnose.weights import LARGE, excess, grown
from lightning_gradwatch.records import Anatomy, Finding, Frame, Ledger, OperationReading
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Root mean square of a network's input.  Standardised data has 1; raw pixels of 0..16 have 8, of 0..255 about 80.
LARGE_INPUT = 5.0
# An activation that had so much of its largest slope left on the first step was open.
OPEN = 0.4
# Share of a layer's units that let nothing through on the first batch: they began dead.
BEGAN_DEAD = 0.5
# Weights that have grown by half since the first step.
GREW = 1.5
# Weights that are down to so little of their size leave their units to the biases.
FADED = 0.3
_BOUNDED = ("Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh", "Softsign")
THRESHOLDS = (
    Threshold(
        name="large input",
        value=LARGE_INPUT,
        unit="root mean square",
        why="standardised data has 1, raw pixels of 0..16 have 8, of 0..255 about 80",
    ),
    Threshold(
        name="open",
        value=OPEN,
        unit="of the largest slope",
        why="an activation with so much left on the first step was open: own fits",
    ),
    Threshold(name="began dead", value=BEGAN_DEAD, unit="of a layer's units", why="as many make a finding"),
    Threshold(name="grew", value=GREW, unit="times the first step's weights", why="by half: training did that"),
    Threshold(
        name="faded",
        value=FADED,
        unit="of the first step's weights",
        why="what is left leaves the units to their biases",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Blame:
    """Decades (of slope, or of living units) by whom they were taken."""

    activation: float = 0.0
    weights: float = 0.0  # as they were at the start
    data: float = 0.0
    rate: float = 0.0
    layers: int = 0  # that were looked at
    began: float | None = None  # slope, or share of dead units, that the worst of them began with
    factor: float | None = None  # by which the weights of the worst stood above Xavier's at the start
    grown: float | None = None  # by which they have grown since
    given: float | None = None  # root mean square of the network's input


def blame_segments(
    flat: Sequence[tuple[str, float]], ledger: Ledger, frame: Frame, anatomy: Anatomy, history: History
) -> Blame:
    """For saturated activations on the way that a ledger shows.

    Args:
        flat: (layer, decades lost to saturation).
        ledger: the ledger that shows them.
        frame: its frame.
        anatomy: what the network is made of.
        history: what the frames so far told.
    """
    began = history.beginning.slopes if history.beginning else {}
    return _blame(flat, _well(began), began, _Facts(ledger, frame, anatomy, history))


def blame_flat(finding: Finding, frame: Frame, anatomy: Anatomy, history: History) -> Blame | None:
    """For a finding of saturation; None where no slope was measured.

    Args:
        finding: what was found.
        frame: the frame that showed it.
        anatomy: what the network is made of.
        history: what the frames so far told.
    """
    slopes = [(o.layer, o.slope) for o in frame.operations if o.slope is not None and o.layer in finding.layers]
    flat = [(layer, -math.log10(max(slope, 1e-6))) for layer, slope in slopes if slope < OPEN]
    began = history.beginning.slopes if history.beginning else {}
    ledger = next(iter(frame.ledgers), None)
    return _blame(flat, _well(began), began, _Facts(ledger, frame, anatomy, history)) if flat else None


def blame_gates(finding: Finding, frame: Frame, history: History) -> Blame | None:
    """For fused recurrent layers whose weights drive their gates to the ends; None where the weights are not known.

    Args:
        finding: what was found; its id names the weight.
        frame: the frame that showed it.
        history: what the frames so far told.
    """
    name = finding.id.partition(":")[2]
    now = next((reading for reading in frame.parameters if reading.name == name), None)
    began = history.beginning.weights.get(name) if history.beginning else None
    if now is None or not now.weight or not began:
        return None
    factor = began * math.sqrt(now.fan)  # Xavier's, of as many inputs as outputs, is 1 over the root of the width
    by_start, since = max(0.0, math.log10(factor)), max(0.0, math.log10(now.weight / began))
    return Blame(weights=by_start, rate=since, layers=1, factor=factor, grown=now.weight / began)


def blame_dead(finding: Finding, frame: Frame, anatomy: Anatomy, history: History) -> Blame | None:
    """For a finding of dead units; None where nobody measured them.

    Args:
        finding: what was found.
        frame: the frame that showed it.
        anatomy: what the network is made of.
        history: what the frames so far told.
    """
    dead = {o.layer: o.silent if o.silent is not None else o.dead for o in frame.operations}
    measured = [layer for layer in finding.layers if dead.get(layer)]
    ends = any(ledger.end == -math.inf for ledger in frame.ledgers)  # the way down ends there, whoever looked
    unseen = finding.id == "zero" or (not measured and ends and bool(finding.layers))
    known = [(layer, 1.0) for layer in (finding.layers if unseen else measured)][:1]
    began = dict(history.beginning.dead) if history.beginning else {}
    if unseen and history.moments:
        # Nothing measured the units, but a path that was dead on the first measured step began so.
        began.setdefault(known[0][0], float(finding.first_step <= history.moments[0].step))
    alive = {layer: share < BEGAN_DEAD for layer, share in began.items()}
    ledger = next(iter(frame.ledgers), None)
    return _blame(known, alive, began, _Facts(ledger, frame, anatomy, history), by_training=True) if known else None


def _well(slopes: Mapping[str, float]) -> dict[str, bool]:
    return {layer: slope >= OPEN for layer, slope in slopes.items()}


@dataclass(frozen=True)
class _Facts:
    """What there is to judge by."""

    ledger: Ledger | None
    frame: Frame
    anatomy: Anatomy
    history: History


def _blame(
    ill: Sequence[tuple[str, float]],
    was_well: Mapping[str, bool],
    began: Mapping[str, float],
    facts: _Facts,
    *,
    by_training: bool = False,
) -> Blame:
    """One share for each layer that is ill; ``by_training``: nothing but training does it to one that was well."""
    sums = {"activation": 0.0, "weights": 0.0, "data": 0.0, "rate": 0.0}
    for layer, size in ill:
        for who, share in _shares(layer, was_well.get(layer), facts, by_training=by_training).items():
            sums[who] += share * size
    worst = max(ill, key=lambda pair: pair[1])[0]
    over = excess(facts.history, facts.anatomy, worst)
    return Blame(
        activation=sums["activation"],
        weights=sums["weights"],
        data=sums["data"],
        rate=sums["rate"],
        layers=len(ill),
        began=began.get(worst),
        factor=None if over is None else 10**over,
        grown=grown(facts.frame, facts.history, worst),
        given=facts.ledger.given if facts.ledger else None,
    )


def _shares(layer: str, was_well: bool | None, facts: _Facts, *, by_training: bool) -> dict[str, float]:
    """Who did it to one layer; shares that add up to 1."""
    boldest = facts.history.boldest[0]
    if was_well:
        factor = grown(facts.frame, facts.history, layer)
        if by_training and factor is not None and factor <= FADED and boldest < BOLD and not _decays(facts.frame):
            return {"weights": 1.0}  # no step did that: somebody made them small
        if factor is not None and factor >= GREW and _by_hand(layer, facts.history):
            return {"weights": 1.0}
        leapt = by_training or boldest >= BOLD or (factor is not None and factor >= GREW)
        return {"rate": 1.0} if leapt else {"activation": 1.0}
    over = excess(facts.history, facts.anatomy, layer)
    weights = over if over is not None and over >= math.log10(LARGE) else 0.0
    data = _input(layer, facts)
    if weights + data > 0:
        return {"weights": weights / (weights + data), "data": data / (weights + data)}
    if by_training:  # biases, or weights of one sign: their spread does not show it
        return {"weights": 1.0} if was_well is False else {"activation": 1.0}
    return {"rate": 1.0} if was_well is None and boldest >= BOLD else {"activation": 1.0}


def _by_hand(layer: str, history: History) -> bool:
    """Whether a layer went flat from one step to the next although no step was bold and no rate was raised."""
    began = history.beginning.rate if history.beginning else 0.0
    return layer in history.flattened and history.boldest[0] < BOLD and history.top_rate <= 2 * began


def _decays(frame: Frame) -> bool:
    return any(reading.decay > 0 for reading in frame.optimizers)


def _input(layer: str, facts: _Facts) -> float:
    """Decades by which that layer's input is too large because the network's is, and nothing bounds it in between."""
    ledger = facts.ledger
    if ledger is None or ledger.given is None or not LARGE_INPUT <= ledger.given < math.inf:
        return 0.0
    bounded = any(_bounds(one, ledger.target_layer) for one in facts.frame.operations)
    return math.log10(ledger.given) if layer == ledger.target_layer or not bounded else 0.0


def _bounds(one: OperationReading, layer: str) -> bool:
    return one.layer == layer and (one.family == "norm" or one.operation in _BOUNDED)
