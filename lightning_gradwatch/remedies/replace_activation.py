"""An activation that does not saturate in place of one that does."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
from lightning_gradwatch.remedies.network import (
    SATURATING,
    gates,
    loss_behind_relu,
    main_activation,
    spreads,
    through_time,
)

_HE = 'nn.init.kaiming_normal_(w, nonlinearity="relu")'


class ReplaceActivation(RemedyRule):
    """ReLU, LeakyReLU, PReLU or ELU in place of an activation that saturates, together with weights that suit it."""

    name: ClassVar[str] = "ReplaceActivation"
    title: ClassVar[str] = "ReLU with He initialisation"
    source: ClassVar[str] = (
        "Glorot, Bordes & Bengio, Deep sparse rectifier neural networks (2011), section 3; "
        "He et al., Delving deep into rectifiers (2015), equations 1 (PReLU) and 14"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.ACTIVATION: Cure(
            fit=0.95,
            why="a rectifier passes the gradient whole wherever its input is positive and cannot saturate there.",
        ),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits saturating activations; a plain ReLU whose units die; nothing else, and never the gates of an LSTM."""
        cause, present = self.target(finding), main_activation(finding, anatomy)
        if cause is None or present is None or gates(anatomy) or through_time(finding, anatomy):
            return None
        fit = self.cures[cause.kind].fit
        if present in SATURATING:
            return Advice(
                cause=cause.kind,
                fit=fit,
                advice=f"Replace every hidden {present} by ReLU, LeakyReLU, PReLU or ELU with He initialisation.",
                reason=f"{self.because(cause)} {_why_both(anatomy)} He is {_HE}.",
            )
        if present != "relu":
            return None
        return Advice(
            cause=cause.kind,
            fit=fit if finding.kind is Kind.DEAD_UNITS else 0.4,
            title="LeakyReLU with He initialisation",
            advice="Replace ReLU by LeakyReLU, PReLU or ELU, and keep or draw He initialisation with it.",
            reason=f"{self.because(cause)} A leaky slope keeps units alive whose input stays negative; ReLU's "
            "slope of 0 does not.",
        )


def _why_both(anatomy: Anatomy) -> str:
    """Why ReLU comes with He: with torch's own weights a deep network of it vanishes again."""
    lost, now = loss_behind_relu(anatomy), spreads(anatomy, "He")
    if lost is None or now is None:
        return "Without He it would vanish again: torch's own weights lose 0.39 decades a layer behind a ReLU."
    if lost < 1:
        return f"The weights suit a ReLU already (standard deviation {now[0]:.2g}, He gives {now[1]:.2g})."
    return (
        f"ReLU alone would not do: with these weights (standard deviation {now[0]:.2g}, He gives {now[1]:.2g}) "
        f"it would lose about {lost:.1f} decades again."
    )
