"""Whether a label holds: judged by the float64 measurement and the outcome, never by our own rules.

A measurement (``run_one.py`` makes it) is JSON data: the network at the "start", at the "onset" where that is later,
and at the "end" (``float64.measured``), how far each parameter "moved" since the onset, the "score" at the end, and the
"losses" of all steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fit import Fit

LOST = 3.0  # decades between the layer next to the loss (or the last time step) and the one that gets least
GAINED = 2.0  # decades, the other way round
DEAD = 0.5  # share of a layer's units that no training sample wakes
FLAT = 0.05  # mean slope of an activation beside its largest possible slope
ROSE = 10.0  # the loss, beside its median until then
STILL = 1e-3  # ||w - w at onset|| / ||w at onset|| of the median parameter, over a whole fit
LEARNT = 0.5  # drop of the loss that a sick fit does not reach, unless a part of it stays sick to the end
SCORE = 0.6  # nor this share of right answers; a healthy one that hardly moves has reached it before
FALLS = 0.2  # drop of the loss of a healthy fit
STANDS = 0.1  # drop of the loss within ...
SOON = 60  # ... so many steps, that counts as none

Sickness = dict[str, list[str]]  # kind -> places, worst first


def confirm(fit: Fit, measurement: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the author's label holds, and the sentence that says why."""
    sick = sickness(measurement)
    losses = [number(loss) for loss in measurement["losses"]]
    if fit.health == "sick":
        return _confirm_sick(fit, measurement, sick, losses)
    if "nonfinite" in sick:
        return False, "Something in it is not finite."
    fell = drop(losses)
    if fell >= FALLS:
        return True, f"It learns: the loss falls by {fell:.0%}."
    score = measurement.get("score")
    if score is not None and number(score) >= SCORE:
        return True, f"It has learnt: {number(score):.0%} right, although the loss falls by {fell:.0%} only."
    ill = [kind for kind in sick if kind in ("vanishing", "exploding", "stalled")]
    if not ill:
        return True, f"The loss falls by {fell:.0%} only, and float64 shows nothing wrong with its flow."
    return False, f"The loss falls by {fell:.0%} only, and float64 shows: {', '.join(ill)}."


def _confirm_sick(fit: Fit, measurement: Mapping[str, Any], sick: Sickness, losses: list[float]) -> tuple[bool, str]:
    shown = [kind for kind in fit.kinds if kind in sick]
    if not shown:
        return False, f"float64 shows none of {', '.join(fit.kinds)}; it shows {', '.join(sick) or 'nothing'}."
    late = losses[fit.onset :]
    fell, soon = drop(late), drop(late[:SOON])
    if "nonfinite" in sick or any(not math.isfinite(loss) for loss in losses):
        return True, f"float64 shows {shown[0]}, and it breaks."
    if fell < LEARNT or soon < STANDS:
        return True, f"float64 shows {shown[0]}, and the loss falls by {fell:.0%} only ({soon:.0%} at first)."
    score = measurement.get("score")
    if score is not None and not number(score) >= SCORE:
        return True, f"float64 shows {shown[0]}, and it has {number(score):.0%} right at the end."
    lasting = {**at(measurement, "end"), **_moves(measurement)}
    if any(kind in lasting for kind in fit.kinds):
        return True, f"float64 shows {shown[0]} to the end, although the loss falls by {fell:.0%}."
    return False, f"float64 shows {shown[0]}, but the fit gets over it and the loss falls by {fell:.0%}."


def sickness(measurement: Mapping[str, Any]) -> Sickness:
    """Every kind of sickness that the measurement shows at any of its moments, with its places."""
    found: Sickness = {}
    for when in ("onset", "start", "end"):
        for kind, places in at(measurement, when).items():
            found.setdefault(kind, []).extend(place for place in places if place not in found.get(kind, ()))
    losses = [number(loss) for loss in measurement["losses"]]
    if any(not math.isfinite(loss) for loss in losses):
        found.setdefault("nonfinite", [])
    if _rose(losses):
        found.setdefault("exploding", [])
    for kind, where in _moves(measurement).items():
        found.setdefault(kind, []).extend(where)
    return found


def _moves(measurement: Mapping[str, Any]) -> Sickness:
    """What the way of the weights tells: some never moved, or hardly any did while the loss stood."""
    moved = {name: number(value) for name, value in measurement["moved"].items()}
    found: Sickness = {}
    unmoved = [owner(name) for name, value in moved.items() if value == 0.0]
    if unmoved:
        found["disconnected"] = [*dict.fromkeys(unmoved)]
    still = sorted(value for value in moved.values() if math.isfinite(value) and value < 1e12)  # not from zero
    if still and still[len(still) // 2] < STILL:
        found["stalled"] = [*dict.fromkeys(owner(name) for name, value in moved.items() if value < STILL)]
    return found


def at(measurement: Mapping[str, Any], when: str) -> Sickness:
    """The kinds of sickness of the network at one moment, with their places."""
    moment = measurement.get(when)
    if moment is None:
        return {}
    flow = {name: number(value) for name, value in moment.get("flow", {}).items()}
    head = list(flow.values())[-1] if flow else 0.0
    times = {name: [number(value) for value in values] for name, values in moment.get("time", {}).items()}
    live = {name: [v for v in values if math.isfinite(v)] for name, values in times.items()}
    shares = {place: number(share) for place, share in moment.get("dead", {}).items()}
    slopes = {place: number(slope) for place, slope in moment.get("slope", {}).items()}
    found = {
        "vanishing": [
            *_sorted((name, v - head) for name, v in flow.items() if math.isfinite(v) and v - head <= -LOST),
            *(name for name, values in live.items() if values and max(values) - values[0] >= LOST),
        ],
        "exploding": [
            *_sorted((name, head - v) for name, v in flow.items() if v - head >= GAINED),
            *(name for name, values in live.items() if values and values[0] - values[-1] >= GAINED),
        ],
        "dead_units": _activations((key, -share) for key, share in shares.items() if share >= DEAD),
        "saturation": _activations((key, slope) for key, slope in slopes.items() if slope <= FLAT),
        "disconnected": [*map(owner, moment.get("silent", ()))],
        "nonfinite": [] if moment.get("finite", True) else ["*"],
    }
    return {kind: [*dict.fromkeys(places)] for kind, places in found.items() if places}


def places(fit: Fit, measurement: Mapping[str, Any]) -> Sickness:
    """Where each kind of sickness that is right sits: as the author says, else as measured; []: it has no place."""
    sick = sickness(measurement)
    return {kind: [*fit.layers] or [p for p in sick.get(kind, ()) if p != "*"] for kind in fit.kinds}


def drop(losses: list[float]) -> float:
    """Share of the loss that is gone at the end; negative where it rose.

    Example:
        >>> drop([2.0] * 10 + [0.5] * 10)
        0.75
    """
    if len(losses) < 2 or not all(map(math.isfinite, losses)):
        return 0.0
    width = max(1, min(10, len(losses) // 4))
    first, last = sum(losses[:width]) / width, sum(losses[-width:]) / width
    return (first - last) / max(abs(first), 1e-300)


def owner(parameter: str) -> str:
    """The module that holds a parameter."""
    return parameter.rpartition(".")[0]


def number(value: float | str) -> float:
    """A number of the measurement: infinities and nan are words there."""
    return float(value)


def _rose(losses: list[float]) -> bool:
    return any(loss >= ROSE * max(sorted(losses[:i])[i // 2], 1e-300) for i, loss in enumerate(losses) if i > 2)


def _activations(pairs: Iterable[tuple[str, float]]) -> list[str]:
    """The activations, worst first, each with the layer whose answer it takes."""
    return [place for key in _sorted(pairs) for place in key.split("|")[:2] if place]


def _sorted(pairs: Iterable[tuple[str, float]]) -> list[str]:
    return [name for name, _ in sorted(pairs, key=lambda pair: pair[1])]
