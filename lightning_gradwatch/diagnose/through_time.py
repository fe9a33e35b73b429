"""GW502 and GW503: what time steps multiply a gradient by."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.gains import Gains
from lightning_gradwatch.diagnose.weights import now
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Frame, Kind, Quantity, TimeProfile
from lightning_gradwatch.records.threshold import Threshold

# Gates with less than this share of their largest slope left are decided; shut ones hand nothing on.
_SHUT = 0.1
# Growth back through time that is worth a part in an explosion over the fit.
_GROWS = 0.5
# A plain recurrent layer whose weights multiply by this factor or more explodes over any sequence worth the name
# (Pascanu et al. 2013: the bound is 1 for a slope of 1); torch's own begin at 0.58.
_RADIUS = 1.5
_UNGATED = ("RNN", "RNNCell")
# What that weighs against a bold rate, where no decades were measured.
_BY_WEIGHTS = 3.5


class VanishesThroughTime(Rule):
    """Every time step multiplies the gradient by a factor below one."""

    code = "GW502"
    title = "The gradient vanishes through time"
    kind = CauseKind.RECURRENCE
    findings = (Kind.VANISHING,)
    looks_for = """
        Decades that a recurrent layer loses from its best-fed time step back to the first one, and the two factors of
        each: the recurrent weights (their root mean square times the square root of their width estimates the largest
        factor that they have) and the slope of the activation, or gates that are shut."""
    harm = """
        The gradient of an early step holds the product of all later steps' factors: at 0.8 each, 40 steps leave a
        ten-thousandth. What happened early is never learned, however long one trains."""
    false_alarms = """
        Tasks that do not need the early steps: the finding stays an information while the loss falls."""
    example = """
        nn.RNN(8, 48)  # asked after 40 steps for what it read first"""
    remedy = """
        LSTM or GRU, with a forget-gate bias of 1 or more; orthogonal recurrent weights; skip connections over time;
        shorter sequences, or attention over all steps."""
    is_remedy_safe = """
        Another cell is another network. Orthogonal weights are safe before the first step."""
    sources = (
        "Bengio, Simard & Frasconi (1994), Learning long-term dependencies with gradient descent is difficult",
        "Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, equation 5",
        "Hochreiter & Schmidhuber (1997), Long short-term memory, section 3",
    )
    thresholds = (
        Threshold(
            name="shut", value=_SHUT, unit="of the largest slope", why="such gates are decided and hand nothing on"
        ),
    )

    def check(self, finding: Finding, profile: TimeProfile, frame: Frame, anatomy: Anatomy) -> Answer | None:
        """Whether time steps lose it; they do where the finding is about them."""
        if not finding.id.startswith("vanishing_in_time:"):
            return None
        lost = _lost(profile)
        each = lost / max(1, profile.steps - 1)
        radius, slope, shut = _radius(profile.layer, frame, anatomy), _slope(profile, frame), _gates(profile, frame)
        passes = f"each of {profile.steps} time steps of {profile.layer} passes {10**-each:.2g} of the gradient"
        return Answer(
            holds=lost > 0,
            weight=lost,
            sentence=passes + _why(radius, slope, shut),
            evidence=(
                Quantity(name="lost through time", value=lost, unit="decades"),
                Quantity(name="lost each time step", value=each, unit="decades"),
                *_known("recurrent weights' factor, estimated", radius),
                *_known("mean slope", slope, "of the largest possible"),
                *_known("gates' mean slope", shut, "of the largest possible"),
            ),
        )


class ExplodesThroughTime(Rule):
    """Every time step multiplies the gradient by a factor above one."""

    code = "GW503"
    title = "The gradient explodes through time"
    kind = CauseKind.RECURRENCE
    findings = (Kind.EXPLODING, Kind.NONFINITE)
    looks_for = f"""
        A recurrent layer whose first time step gets more gradient than its last one; for a gradient that explodes or
        breaks over the fit, one that gets {_GROWS} decades more."""
    harm = """
        The gradient of a sequence grows exponentially with its length: one long sequence throws all weights away."""
    false_alarms = """
        Losses that hang on the first steps only."""
    example = """
        nn.init.normal_(rnn.weight_hh_l0, std=0.3)  # 48 units: a factor of 2 a step"""
    remedy = """
        Clip the gradient by its norm; orthogonal recurrent weights, or smaller ones; LSTM or GRU; shorter sequences."""
    is_remedy_safe = """
        Clipping is safe at any time: it keeps the direction."""
    sources = (
        "Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, section 3.2",
        "Mikolov (2012), Statistical language models based on neural networks, section 3.2.2",
    )
    thresholds = (
        Threshold(name="grows", value=_GROWS, unit="decades back through time", why="less is no part of an explosion"),
        Threshold(
            name="radius",
            value=_RADIUS,
            unit="factor of the recurrent weights",
            why="Pascanu et al. (2013): the bound is 1 for a slope of 1; torch begins at 0.58",
        ),
        Threshold(
            name="weight by weights",
            value=_BY_WEIGHTS,
            unit="decades",
            why="against a bold rate, where no decades were measured",
        ),
    )

    def check(
        self,
        finding: Finding,
        frame: Frame,
        anatomy: Anatomy,
        profile: TimeProfile | None = None,
        gains: Gains | None = None,
    ) -> Answer | None:
        """Whether time steps multiply it up, or recurrent layers whose steps are not shown."""
        if gains is not None:
            return _of_layers(gains)
        if profile is None or not any(map(math.isfinite, profile.decades)):
            return _by_weights(finding, frame, anatomy)
        grown = profile.grown
        if grown < _GROWS and "_in_time" not in finding.id:
            return NO
        each = grown / max(1, profile.steps - 1)
        radius = _radius(profile.layer, frame, anatomy)
        weights = "" if radius is None else f"; its recurrent weights' factor is about {radius:.2g}"
        return Answer(
            holds=grown > 0,
            weight=grown,
            sentence=f"each of {profile.steps} time steps of {profile.layer} multiplies the gradient by "
            f"{10**each:.2g}{weights}",
            evidence=(
                Quantity(name="grown through time", value=grown, unit="decades"),
                Quantity(name="grown each time step", value=each, unit="decades"),
                *_known("recurrent weights' factor, estimated", radius),
            ),
        )


def _of_layers(gains: Gains) -> Answer:
    if gains.recurrence <= 0:
        return NO
    return Answer(
        holds=True,
        weight=gains.recurrence,
        sentence=f"recurrent layers give the gradient {gains.recurrence:.1f} decades on its way down",
        evidence=(Quantity(name="gained in recurrent layers", value=gains.recurrence, unit="decades"),),
    )


def _by_weights(finding: Finding, frame: Frame, anatomy: Anatomy) -> Answer | None:
    """Where no time step was measured, or all of them broke: what the recurrent weights alone tell."""
    plain = [one.name for one in anatomy.layers if one.type in _UNGATED]
    known = [(radius, name) for name in plain if (radius := _radius(name, frame, anatomy, at_start=True))]
    if not known or "_in_time" in finding.id:
        return None
    radius, name = max(known)
    if radius < _RADIUS:
        return NO
    return Answer(
        holds=True,
        weight=_BY_WEIGHTS,
        sentence=f"the recurrent weights of {name} multiply by about {radius:.2g} at every time step",
        evidence=_known("recurrent weights' factor, estimated", radius),
    )


def _lost(profile: TimeProfile) -> float:
    """As far as it was seen: behind an underflow nothing is."""
    seen = [value for value in profile.decades if math.isfinite(value)]
    if not seen:
        return 0.0
    first = profile.decades[0]
    return max(seen) - (first if math.isfinite(first) else min(seen))


def _radius(layer: str, frame: Frame, anatomy: Anatomy, *, at_start: bool = False) -> float | None:
    """Rms x sqrt(width): the spectral radius of a random square matrix (Girko's circular law)."""
    found = anatomy.layer(layer)
    square = [r for r in frame.parameters if r.name.startswith(layer + ".") and "hh" in r.name and r.fan > 1]
    if square and square[0].weight is not None and not at_start:
        return square[0].weight * math.sqrt(square[0].fan)
    std = (None if at_start else now(frame, layer)) or (found.weight_std if found else None)
    return std * math.sqrt(found.fan_in) if found and std and found.fan_in else None


def _slope(profile: TimeProfile, frame: Frame) -> float | None:
    own = [o.slope for o in frame.operations if _is_in(o.layer, profile) and o.slope is not None and not o.gates]
    return min(own, default=None)


def _gates(profile: TimeProfile, frame: Frame) -> float | None:
    """Of gates that are shut or wide open, the flattest one's slope; None where none is decided."""
    gates = [o.slope for o in frame.operations if _is_in(o.layer, profile) and o.slope is not None and o.gates]
    return min((slope for slope in gates if slope < _SHUT), default=None)


def _is_in(layer: str, profile: TimeProfile) -> bool:
    return layer == profile.layer or layer.startswith(profile.layer + ".") or profile.layer.startswith(layer + ".")


def _why(radius: float | None, slope: float | None, shut: float | None) -> str:
    if shut is not None:
        return f": gates are decided (slope at {shut:.0%} of the largest possible)"
    if radius is not None and radius < 1:
        return f": its recurrent weights' factor is about {radius:.2g}" + (
            "" if slope is None else f", its slope {slope:.0%} of the largest possible"
        )
    return "" if slope is None else f": its activation has {slope:.0%} of its largest slope"


def _known(name: str, value: float | None, unit: str = "") -> tuple[Quantity, ...]:
    return () if value is None else (Quantity(name=name, value=value, unit=unit),)
