"""Inputs of the size that weights are made for."""

from __future__ import annotations

import math
from typing import ClassVar

from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule

# Of a single batch that is unlike the others, not of all of them.
_OUTLIER = "GW312"


class ScaleInput(RemedyRule):
    """Inputs with mean 0 and standard deviation 1; a batch that is broken is looked at."""

    name: ClassVar[str] = "ScaleInput"
    title: ClassVar[str] = "standardised inputs"
    source: ClassVar[str] = "LeCun, Bottou, Orr & Müller, Efficient backprop (1998), section 4.3"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.DATA: Cure(fit=0.95, why="initial weights are made for inputs of size 1."),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits inputs that are out of scale; of one odd batch it says where to look."""
        cause = self.target(finding)
        if cause is None:
            return None
        odd = cause.code == _OUTLIER or not math.isfinite(_given(cause) or 0.0)
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="data without outliers" if odd else self.title,
            advice=_ADVICE[odd],
            reason=f"{self.because(cause)} {_REASON[odd]}{_size(cause)}",
        )


_ADVICE = {
    False: "Standardise the inputs: subtract their mean, divide by their standard deviation.",
    True: "Look at the batch of that step; drop or mend samples that are not finite or odd.",
}
_REASON = {
    False: "A BatchNorm1d(affine=False) in front of the first layer does it, too",
    True: "A check where batches are loaded, torch.isfinite(x).all(), finds them before they do harm",
}


def _given(cause: Cause) -> float | None:
    return next((q.value for q in cause.evidence if q.name == "root mean square of the input"), None)


def _size(cause: Cause) -> str:
    given = _given(cause)
    return "." if given is None or not math.isfinite(given) else f": the first layer is given a size of {given:.3g}."
