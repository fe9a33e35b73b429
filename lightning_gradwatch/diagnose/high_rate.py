"""GW601: steps that are too large for the weights they change."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.blame import Blame
from lightning_gradwatch.diagnose.course import BOLD, RESTLESS, Course
from lightning_gradwatch.diagnose.gains import Gains
from lightning_gradwatch.diagnose.stall import is_adaptive
from lightning_gradwatch.records import CauseKind, Finding, Frame, Kind, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Rates above these are high: three times what people begin with (adaptive optimizers, and plain descent).
HIGH = {True: 3e-3, False: 3e-2}
# Weight of a leap of the weights at a rate that is neither high nor low; a decade more of rate counts one more, within
# these limits.
_LEAPT = 1.5
_SPAN = (-1.0, 1.5)
# Weight where nothing is known but that the fit went well before: the likeliest reason, until another one is seen.
_BY_EXCLUSION = 0.5


class RateTooHigh(Rule):
    """The steps are so large that they throw the weights about."""

    code = "GW601"
    title = "Learning rate too high"
    kind = CauseKind.LEARNING_RATE
    findings = (Kind.EXPLODING, Kind.NONFINITE, Kind.SATURATION, Kind.DEAD_UNITS, Kind.VANISHING)
    looks_for = f"""
        Activations that were open on the first measured step and units that were alive, and are not any more, after a
        step that changed a weight by {BOLD:.0%} of itself or since the weights have grown by half; the part of growth
        along depth that came with the growth of the weights; a gradient that explodes or breaks after such steps, or
        after the weight in the middle changed by {RESTLESS:.0%} on one. It weighs more the higher the rate is above
        {HIGH[True]:g} (adaptive optimizers) or {HIGH[False]:g} (plain descent), less below: then large inputs, weights
        or losses make ordinary rates too high."""
    harm = """
        A step that is longer than the valley is wide lands higher on the other side: the next gradient is larger, and
        so is the next step. Weights end at flat ends of activations, units die, numbers overflow."""
    false_alarms = """
        Warm restarts and the first steps of large batches leap on purpose; they are no finding unless the fit pays for
        it."""
    example = """
        torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)"""
    remedy = """
        A tenth of the rate; a warm-up over the first few hundred steps; clipping of the gradient by its norm. Units
        that have died and activations that have saturated do not come back by a lower rate: start anew, or from a
        checkpoint before it happened."""
    is_remedy_safe = """
        A lower rate and clipping are safe at any time; they cost time, not quality."""
    sources = (
        "LeCun, Bottou, Orr & Müller (1998), Efficient backprop, section 5.1",
        "Goyal et al. (2017), Accurate, large minibatch SGD: training ImageNet in 1 hour, section 2.2",
        "Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, section 3.2",
    )
    thresholds = (
        Threshold(
            name="high rate, adaptive", value=HIGH[True], unit="learning rate", why="three times what people begin with"
        ),
        Threshold(
            name="high rate, plain descent",
            value=HIGH[False],
            unit="learning rate",
            why="three times what people begin with",
        ),
        Threshold(name="weight of a leap", value=_LEAPT, unit="decades", why="at a rate that is neither high nor low"),
        Threshold(
            name="least change of it", value=_SPAN[0], unit="decades", why="a decade less of rate counts one less"
        ),
        Threshold(
            name="largest change of it", value=_SPAN[1], unit="decades", why="a decade more of rate counts one more"
        ),
        Threshold(
            name="weight by exclusion",
            value=_BY_EXCLUSION,
            unit="decades",
            why="nothing is known but that it went well before",
        ),
    )

    def check(
        self,
        *,
        finding: Finding,
        frame: Frame,
        history: History,
        course: Course,
        blame: Blame | None = None,
        gains: Gains | None = None,
    ) -> Answer | None:
        """Whether the size of the steps answers for it."""
        size = history.boldest[0]
        if blame is not None:
            return _answer(blame.rate, _since(blame), frame, size) if blame.rate > 0 else NO
        if gains is not None:
            text = f"{gains.trained:.1f} of the decades came with the growth of the weights since the start"
            return _answer(gains.trained, text, frame, size) if gains.trained > 0 else NO
        if finding.kind not in (Kind.EXPLODING, Kind.NONFINITE) or "_in_time" in finding.id:
            return None
        return _over_time(frame, history, course)


def _since(blame: Blame) -> str:
    began = "" if blame.began is None else f" (it began at {blame.began:.0%})"
    grew = "" if blame.grown is None else f"; its weights are {blame.grown:.2g} times as large as then"
    return f"what has gone flat was well on the first step{began}{grew}"


def _over_time(frame: Frame, history: History, course: Course) -> Answer:
    if course.steps == 0:
        return NO  # no step has been made that could have done it
    high = math.log10(history.top_rate / HIGH[is_adaptive(frame)]) if history.top_rate > 0 else 0.0
    if course.is_sudden:  # weights that have grown since then are what came of it
        text = (
            f"after {course.steps} measured steps without a leap a rate of {history.top_rate:g} may have been too high"
        )
        return _answer(_BY_EXCLUSION + min(_SPAN[1], max(0.0, high)), text, frame, course.boldest)
    text = f"steps at a rate of {history.top_rate:g} change weights by up to {course.boldest:.2g} times themselves"
    return _answer(_LEAPT + min(_SPAN[1], max(_SPAN[0], high)), text, frame, course.boldest)


def _answer(weight: float, text: str, frame: Frame, boldest: float) -> Answer:
    return Answer(
        holds=True,
        weight=weight,
        sentence=text,
        evidence=(
            Quantity(name="largest update beside its weights so far", value=boldest, unit="ratio"),
            Quantity(name="learning rate", value=max(frame.rates, default=0.0)),
        ),
    )
