"""GW302: weights that are too large from the start."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.blame import GREW, Blame
from lightning_gradwatch.diagnose.course import Course
from lightning_gradwatch.diagnose.gains import Gains
from lightning_gradwatch.diagnose.stall import Stall
from lightning_gradwatch.diagnose.weights import LARGE, usual_excess, usual_growth
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Frame, Kind, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Weights that have grown by half since the first step owe the rest to training.
_GREW = 1.5
# Decades that it is charged at most where nothing along depth was measured; half of it where all went well at first.
_MOST = 4.0
_AT_ONCE = 5


class WeightsTooLarge(Rule):
    """The weights enlarge the gradient, or drive activations to their ends, since the first step."""

    code = "GW302"
    title = "Weights too large from the start"
    kind = CauseKind.INITIALIZATION
    findings = (Kind.EXPLODING, Kind.SATURATION, Kind.VANISHING, Kind.NONFINITE, Kind.STALLED)
    looks_for = f"""
        Along depth: decades that the backward pass gains in linear and convolutional layers beyond what He's or
        Xavier's initialisation would give. For saturation: layers that were flat on the first step, whose weights had
        {LARGE:g} times Xavier's standard deviation or more. For a gradient that explodes or breaks over time: weights
        that were as large in the middle layer, when the fit began."""
    harm = """
        A layer multiplies what passes by its weights. Above 1/sqrt(fan) activations grow from layer to layer until they
        saturate or overflow, and so does the gradient on its way back: no learning rate suits all layers."""
    false_alarms = """
        Layers in front of a normalisation, which undoes any scale; a last layer that is scaled up on purpose."""
    example = """
        nn.init.normal_(layer.weight, std=1.0)  # nn.Linear(64, 64): Xavier would give 0.125"""
    remedy = """
        `nn.init.xavier_normal_(weight)` before tanh and sigmoid, `nn.init.kaiming_normal_(weight)` before ReLU; or a
        normalisation behind every layer."""
    is_remedy_safe = """
        Safe before the first step. Later it throws away what the weights have learned."""
    sources = (
        "Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, eq. 12",
        "He, Zhang, Ren & Sun (2015), Delving deep into rectifiers, section 2.2",
    )
    thresholds = (
        Threshold(
            name="grew", value=_GREW, unit="times the first step's weights", why="by half: the rest is owed to training"
        ),
        Threshold(name="most", value=_MOST, unit="decades", why="where nothing along depth was measured"),
        Threshold(
            name="at once", value=_AT_ONCE, unit="measured steps", why="half of it where all went well for longer"
        ),
    )

    def check(
        self,
        *,
        finding: Finding,
        frame: Frame,
        anatomy: Anatomy,
        history: History,
        course: Course,
        blame: Blame | None = None,
        gains: Gains | None = None,
        stall: Stall | None = None,
    ) -> Answer | None:
        """Whether weights that were large at the start explain it."""
        if gains is not None:
            return _along(gains, anatomy, history)
        if blame is not None:
            return _flat(blame)
        if stall is not None:
            return _still(stall)
        return _over_time(frame, anatomy, history, course) if finding.kind in _OVER_TIME else None


_OVER_TIME = (Kind.EXPLODING, Kind.NONFINITE)


def _along(gains: Gains, anatomy: Anatomy, history: History) -> Answer:
    if gains.weights <= 0:
        return NO
    over = usual_excess(history, anatomy)
    scale = "" if over is None else f" (the middle one had {10**over:.2g} times Xavier's standard deviation)"
    return Answer(
        holds=True,
        weight=gains.weights,
        sentence=f"weights of {gains.layers} layers give the gradient {gains.weights:.1f} decades more than good "
        f"initialisation would{scale}",
        evidence=(
            Quantity(name="gained in weights", value=gains.weights, unit="decades"),
            *_factor(over),
        ),
    )


def _flat(blame: Blame) -> Answer:
    if blame.weights > 0 and blame.grown is not None and blame.grown >= GREW and (blame.factor or 0.0) < LARGE:
        text = f"weights are {blame.grown:.2g} times as large as at the start, and no step of the fit did that"
        return Answer(holds=True, weight=blame.weights, sentence=text, evidence=_factor(math.log10(blame.grown)))
    if blame.weights <= 0 or blame.factor is None or blame.factor < LARGE:
        return NO
    began = "" if blame.began is None else f", and it began with {blame.began:.0%} of its largest slope"
    return Answer(
        holds=True,
        weight=blame.weights,
        sentence=f"weights had {blame.factor:.2g} times Xavier's standard deviation in front of the flattest "
        f"layer{began}",
        evidence=(
            Quantity(name="slope lost to large weights", value=blame.weights, unit="decades"),
            *_factor(math.log10(blame.factor)),
        ),
    )


def _still(stall: Stall) -> Answer:
    if stall.weights < math.log10(LARGE):
        return NO
    return Answer(
        holds=True,
        weight=stall.weights,
        sentence=f"weights are {10**stall.weights:.2g} times as large as Xavier's: beside them every step is small",
        evidence=_factor(stall.weights),
    )


def _over_time(frame: Frame, anatomy: Anatomy, history: History, course: Course) -> Answer | None:
    over, growth = usual_excess(history, anatomy), usual_growth(frame, history)
    if over is None:
        return None
    trained = growth is not None and growth >= _GREW and course.leapt_before
    if over < math.log10(LARGE) or trained:
        return NO
    layers = sum(layer.family == "linear" for layer in anatomy.layers)
    return Answer(
        holds=True,
        # One factor for every layer, forward and backward: as strong as a leap of the weights where it is as large.
        weight=min(_MOST, over * max(1, layers)) / (1 if course.steps <= _AT_ONCE else 2),
        sentence=f"weights began at {10**over:.2g} times Xavier's standard deviation, in {layers} layers on end",
        evidence=_factor(over),
    )


def _factor(over: float | None) -> tuple[Quantity, ...]:
    return () if over is None else (Quantity(name="weights beside Xavier's at the start", value=10**over),)
