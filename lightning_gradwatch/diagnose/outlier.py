"""GW312: a batch unlike all others."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.course import BOLD, RESTLESS, Course
from lightning_gradwatch.records import CauseKind, Finding, Kind, Ledger, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Measured steps that a baseline takes.
_BASELINE = 4
# Beside a fit that was calm, whatever came with the batch is the likeliest reason.
_WEIGHT = 2.0
# A rate that has risen by this factor since the first step may have grown too high.
_ROSE = 2.0


class OutlierBatch(Rule):
    """The gradient leaps or breaks on one batch of a fit that was calm until then."""

    code = "GW312"
    title = "A batch unlike the others"
    kind = CauseKind.DATA
    findings = (Kind.EXPLODING, Kind.NONFINITE)
    looks_for = f"""
        A gradient that leaves its baseline, or is not finite, at once: on the measured steps before ({_BASELINE} or
        more) it had not risen by a decade, the loss had not doubled, no weight had changed by {BOLD:.0%} of itself on
        one step, and the one in the middle by less than {RESTLESS:.0%}. Steps of that size cannot have done it, so that
        the batch, its labels or its mask must have."""
    harm = """
        One batch with a broken sample, a wrong label or an empty mask moves all weights by a step that is out of all
        proportion, or fills them with NaN."""
    false_alarms = """
        A switch of the loss or of the data that was planned (curriculum); a rare operation that broke (then GW702 names
        it)."""
    example = """
        x[17] = float("nan")  # a sensor that failed"""
    remedy = """
        Look at the batch whose index the finding gives; drop or mend its samples; clip the gradient by norm, so that
        one batch moves the weights by no more than any other; check batches for NaN where they are loaded."""
    is_remedy_safe = """
        Clipping changes nothing on ordinary batches if its limit lies above their norms."""
    sources = (
        "Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, section 3.2",
        "Huber (1964), Robust estimation of a location parameter",
    )
    thresholds = (
        Threshold(name="baseline", value=_BASELINE, unit="measured steps", why="fewer are no baseline"),
        Threshold(
            name="weight",
            value=_WEIGHT,
            unit="decades",
            why="in a calm fit whatever came with the batch is the likeliest",
        ),
        Threshold(name="rate rose", value=_ROSE, unit="times the first rate", why="it may have grown too high"),
    )

    def check(self, finding: Finding, course: Course, history: History, ledger: Ledger | None = None) -> Answer | None:
        """Whether it came out of the blue."""
        if (finding.kind is Kind.EXPLODING and ":" in finding.id) or course.steps < _BASELINE:
            return None
        if not course.is_sudden or _rate_rose(history):
            return NO
        given = ledger.given if ledger else None
        known = [] if given is None else [Quantity(name="root mean square of the input", value=given)]
        return Answer(
            holds=True,
            weight=_WEIGHT,
            sentence=f"the {course.steps} measured steps before were calm: the largest update changed a weight by "
            f"{course.restless:.1%} of itself",
            evidence=(
                Quantity(name="calm steps before", value=float(course.steps), unit="measured steps"),
                Quantity(name="largest update before", value=course.restless, unit="ratio"),
                *known,
            ),
        )


def _rate_rose(history: History) -> bool:
    """Whether a schedule has raised the rate since the beginning."""
    return history.beginning is not None and 0 < _ROSE * history.beginning.rate <= history.top_rate
