"""Vanishing and exploding through time: how the gradient at a recurrent layer changes from time step to time step.

Flow alone cannot tell a network that forgets what it needs from one whose task does not need the early steps; progress
of the loss can.  So it is measured always, and what stays flat beside it makes it an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from lightning_gradwatch.detect.symptom import Symptom, known
from lightning_gradwatch.records import Frame, Kind, Quantity, Severity, TimeProfile
from lightning_gradwatch.records.gates import CLOSED, reckoned
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Decades between the best-fed time step and the first one; as along depth (see detect/vanishing.py).
ENTER = 4.0
LEAVE = 2.5
CRITICAL = 6.0


class VanishingThroughTime:
    """Names recurrent layers whose early time steps get hardly any gradient."""

    kind: ClassVar[Kind] = Kind.VANISHING
    patience: ClassVar[int] = 3
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(name="opens at", value=ENTER, unit="decades below the best-fed step", why="as along depth"),
        Threshold(name="stays open down to", value=LEAVE, unit="decades below the best-fed step", why="as along depth"),
        Threshold(name="critical at", value=CRITICAL, unit="decades below the best-fed step", why="as along depth"),
        Threshold(
            name="shut",
            value=CLOSED,
            unit="of the cell kept a step",
            why="a forget gate that is meant to be learned begins near one half",
        ),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom for each recurrent layer and loss."""
        if frame.skipped:
            return
        for profile in (*frame.times, *reckoned(frame)):
            lost = profile.lost
            if math.isnan(lost) or max(profile.decades, default=-math.inf) == -math.inf:
                continue
            # An exact zero out of nothing is a sequence that was cut off or padded; one faded into is an underflow.
            reached = [value for value in profile.decades if value > -math.inf]
            lost = max(reached) - min(reached) if lost == math.inf and max(reached) - min(reached) >= ENTER else lost
            yield Symptom(
                id=f"vanishing_in_time:{profile.ledger}:{profile.layer}",
                kind=Kind.VANISHING,
                present=ENTER <= lost < math.inf,
                lingers=LEAVE <= lost < math.inf,
                severity=_severity(lost, history),
                summary=f"the first of {profile.steps} time steps of {profile.layer} gets 10^-{lost:.1f} of the "
                "gradient that the best-fed one gets",
                layers=(profile.layer,),
                evidence=_evidence(profile, lost, history),
            )


class ExplodingThroughTime:
    """Names recurrent layers whose gradient grows on its way back through time."""

    kind: ClassVar[Kind] = Kind.EXPLODING
    patience: ClassVar[int] = 3
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(name="opens at", value=ENTER, unit="decades above the last step", why="as along depth"),
        Threshold(name="stays open down to", value=LEAVE, unit="decades above the last step", why="as along depth"),
        Threshold(name="critical at", value=CRITICAL, unit="decades above the last step", why="as along depth"),
    )

    def examine(self, frame: Frame, history: History) -> Iterable[Symptom]:
        """One symptom for each recurrent layer and loss."""
        if frame.skipped:
            return
        for profile in frame.times:
            yield Symptom(
                id=f"exploding_in_time:{profile.ledger}:{profile.layer}",
                kind=Kind.EXPLODING,
                present=profile.grown >= ENTER,
                lingers=profile.grown >= LEAVE,
                severity=Severity.INFO if history.learns else Severity.WARNING,
                summary=f"the first of {profile.steps} time steps of {profile.layer} gets 10^{profile.grown:.1f} times "
                "the gradient that the last one gets",
                layers=(profile.layer,),
                evidence=(
                    Quantity(name="decades grown", value=profile.grown, unit="decades"),
                    Quantity(name="time steps", value=float(profile.steps), unit="steps"),
                ),
            )


def _severity(lost: float, history: History) -> Severity:
    """An information until the loss has had its time and stands; the early steps may not matter to the task."""
    if history.stands:
        return Severity.CRITICAL if lost >= CRITICAL else Severity.WARNING
    return Severity.WARNING if lost >= CRITICAL and history.flat else Severity.INFO


def _evidence(profile: TimeProfile, lost: float, history: History) -> tuple[Quantity, ...]:
    return (
        Quantity(name="decades lost through time", value=lost, unit="decades"),
        Quantity(name="time steps", value=float(profile.steps), unit="steps"),
        Quantity(name="decades a time step", value=lost / max(1, profile.steps - 1), unit="decades"),
        *known("drop of the loss so far", history.progress, "of its start"),
    )
