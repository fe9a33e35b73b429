"""Operations that are kept off the edges of their domain."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule

# Operation -> what to write in its place.
_GUARDS = {
    "Log": "torch.log(x + eps), better log_softmax or logsigmoid",
    "Sqrt": "torch.sqrt(x + eps)",
    "Rsqrt": "torch.rsqrt(x + eps)",
    "Div": "x / (y + eps)",
    "Exp": "torch.logsumexp, or exp of a clamped value",
    "Softmax": "a mask that leaves one entry in every row",
}
_ANY = "an eps inside it, or a clamp before it"


class GuardOperation(RemedyRule):
    """An eps inside logarithms, roots and quotients, or the fused function in their place.  Advice only."""

    name: ClassVar[str] = "GuardOperation"
    title: ClassVar[str] = "an operation that cannot break"
    source: ClassVar[str] = "Goodfellow, Bengio & Courville, Deep learning (2016), section 4.1"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.NUMERICS: Cure(fit=0.95, why="a value that is kept off the edge has a finite result and derivative."),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits whenever an operation broke; with its name, where that is known."""
        cause = self.target(finding)
        if cause is None:
            return None
        operation = _operation(cause)
        guard = next((text for name, text in _GUARDS.items() if operation.startswith(name)), _ANY)
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice=f"{f'In place of {operation}' if guard != _ANY else 'Write'}: {guard}.",
            reason=f"{self.because(cause)} An eps of 1e-8 changes nothing on ordinary values.",
        )


def _operation(cause: Cause) -> str:
    """The operation that the evidence names: "Log that broke"; "" where it names none."""
    broke = (q.name.removesuffix(" that broke") for q in cause.evidence if q.name.endswith(" that broke"))
    return next(broke, "")
