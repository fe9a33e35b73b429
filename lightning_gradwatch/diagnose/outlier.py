"""GW312: a batch unlike all others."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.course import BOLD, RESTLESS, Course
from lightning_gradwatch.records import CauseKind, Finding, Kind, Ledger, Quantity

# Measured steps that a baseline takes.
_BASELINE = 4
# Beside a fit that was calm, whatever came with the batch is the likeliest reason.
_WEIGHT = 1.0


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

    def check(self, finding: Finding, course: Course, ledger: Ledger | None = None) -> Answer | None:
        """Whether it came out of the blue."""
        if (finding.kind is Kind.EXPLODING and ":" in finding.id) or course.steps < _BASELINE:
            return None
        if not _is_sudden(course, finding):
            return NO
        given = ledger.given if ledger else None
        known = [] if given is None else [Quantity(name="root mean square of the input", value=given)]
        return Answer(
            holds=True,
            weight=_WEIGHT * (2 if finding.kind is Kind.NONFINITE else 1),
            sentence=f"the {course.steps} measured steps before were calm: the largest update changed a weight by "
            f"{course.restless:.1%} of itself",
            evidence=(
                Quantity(name="calm steps before", value=float(course.steps), unit="measured steps"),
                Quantity(name="rise of the gradient before", value=course.climbed, unit="decades"),
                *known,
            ),
        )


def _is_sudden(course: Course, finding: Finding) -> bool:
    """Whether nothing announced it; a leap of the weights on the very step, or after it, is its consequence."""
    return course.climbed < 1 and course.worsened < 2 and not course.bold_before(finding.first_step)
