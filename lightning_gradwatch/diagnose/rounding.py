"""GW703 and GW704: updates that round away, and numbers that a format does not hold."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.course import Course
from lightning_gradwatch.diagnose.stall import is_adaptive
from lightning_gradwatch.records import CauseKind, Frame, Kind, ParameterReading, Quantity
from lightning_gradwatch.records.threshold import Threshold

# Formats with two or three decimal digits, and half a unit in their last place beside the number.
_DIGITS = {"float16": 2**-11, "bfloat16": 2**-8}
# Share of the parameters that stand still for want of digits.
_MOST = 0.5
_ROUNDED = 3.0
# Some weights are far smaller than the others and move all the same.
_FAR = 0.1
_OVERFLOW = 2.0


class RoundsAway(Rule):
    """The updates are smaller than the last digit of the weights."""

    code = "GW703"
    title = "Updates round away"
    kind = CauseKind.PRECISION
    findings = (Kind.STALLED,)
    looks_for = f"""
        Weights in bfloat16 or float16 that get a gradient and do not move at all, or whose adaptive optimizer steps by
        a tenth of their last digit or less, in {_MOST:.0%} or more of the parameters of such a format."""
    harm = """
        A bfloat16 has 8 bits: an update below 0.2 % of a weight leaves it as it is. Ordinary updates are 0.1 % and
        less, so that learning ends although the optimizer steps."""
    false_alarms = """
        A rate of 0: then nothing moves in any format, and the rule does not apply."""
    example = """
        Trainer(precision="bf16-true")  # with a rate of 1e-5"""
    remedy = """
        Keep the weights in float32 (`precision="bf16-mixed"`), or an optimizer that rounds stochastically or keeps a
        compensation (Kahan)."""
    is_remedy_safe = """
        Mixed precision changes no result but for the better, and costs memory for the float32 weights."""
    sources = (
        "Micikevicius et al. (2018), Mixed precision training, section 3.1",
        "Zamirai, Zhang, Aberger & De Sa (2020), Revisiting BFloat16 training, section 3",
    )
    thresholds = (
        Threshold(name="stand still", value=_MOST, unit="of the parameters", why="fewer are odd ones"),
        Threshold(
            name="far",
            value=_FAR,
            unit="of the last digit",
            why="some weights are far smaller than the others and move all the same",
        ),
        Threshold(name="weight", value=_ROUNDED, unit="decades", why="no step arrives: more than a low rate explains"),
    )

    def check(self, frame: Frame) -> Answer | None:
        """Whether weights of a coarse format stand still beside a gradient."""
        coarse = [r for r in frame.parameters if r.dtype in _DIGITS and r.norm and r.update is not None and r.fan > 1]
        if not coarse or not any(frame.rates):
            return None
        still = [r for r in coarse if r.update == 0 or _is_below(r, frame)]
        if len(still) < _MOST * len(coarse):
            return NO
        dtype = still[0].dtype
        return Answer(
            holds=True,
            weight=_ROUNDED,
            sentence=f"{len(still)} of {len(coarse)} {dtype} weights get a gradient and hardly move: updates below "
            f"{_DIGITS[dtype]:.1%} of a weight round away",
            evidence=(Quantity(name="weights that stand still", value=len(still) / len(coarse), unit="of all"),),
        )


def _is_below(reading: ParameterReading, frame: Frame) -> bool:
    """Whether a step of an adaptive optimizer, as long as its rate, is far below the last digit of most weights."""
    if not is_adaptive(frame) or not reading.weight:
        return False
    return max(frame.rates) / reading.weight < _FAR * _DIGITS[reading.dtype]


class Overflows(Rule):
    """Numbers grow beyond what float16 holds."""

    code = "GW704"
    title = "The number format overflows"
    kind = CauseKind.PRECISION
    findings = (Kind.NONFINITE,)
    looks_for = """
        Gradients or weights in float16, whose largest number is 65504, on a step that is not finite, without an
        operation at an edge of its own (GW702)."""
    harm = """
        Activations or gradients above 65504 become inf, and inf minus inf becomes nan. A loss scaler lowers its scale
        for gradients, but can do nothing for activations."""
    false_alarms = """
        The first steps of a scaler that searches its scale are skipped by design and are no finding."""
    example = """
        Trainer(precision="16-true")  # with inputs in the hundreds"""
    remedy = """
        `precision="bf16-mixed"`, whose range is float32's; normalise what grows; scale the inputs."""
    is_remedy_safe = """
        It can be switched when a fit is resumed."""
    sources = (
        "Micikevicius et al. (2018), Mixed precision training, section 3.2",
        "Kalamkar et al. (2019), A study of BFLOAT16 for deep learning training, section 3",
    )
    thresholds = (Threshold(name="weight", value=_OVERFLOW, unit="decades", why="beside a rate that may have done it"),)

    def check(self, frame: Frame, course: Course) -> Answer | None:
        """Whether numbers were in float16 when they broke."""
        formats = {s.dtype for ledger in frame.ledgers for s in ledger.segments} | {r.dtype for r in frame.parameters}
        formats.discard("")
        if not formats:
            return None
        if "float16" not in formats:
            return NO
        return Answer(
            holds=True,
            weight=_OVERFLOW,
            sentence="float16 ends at 65504, and numbers were computed in it when they broke",
            evidence=(
                Quantity(name="largest number of float16", value=65504.0),
                Quantity(name="loss scale", value=frame.loss_scale),
                Quantity(name="calm steps before", value=float(course.steps), unit="measured steps"),
            ),
        )
