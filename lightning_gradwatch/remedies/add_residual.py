"""A way around every block."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
from lightning_gradwatch.remedies.network import has_residual, through_time, weight_layers

# Fewer layers than these have nothing to be led around.
_SHALLOW = 3


class AddResidual(RemedyRule):
    """Residual connections: each block's input is added to its output."""

    name: ClassVar[str] = "AddResidual"
    title: ClassVar[str] = "residual connections"
    source: ClassVar[str] = "He et al., Identity mappings in deep residual networks (2016), equation 5"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.DEPTH: Cure(
            fit=0.95,
            why="the gradient reaches every block by addition, so that no product of factors stands in its way.",
        ),
        CauseKind.ACTIVATION: Cure(
            fit=0.75, why="the sum passes the gradient around each activation as well as through it."
        ),
        CauseKind.INITIALIZATION: Cure(
            fit=0.65, why="small weights then make a block nearly the identity, which loses nothing."
        ),
        CauseKind.RESIDUAL: Cure(
            fit=0.95,
            why="a branch that begins at zero leaves the skip connection as it is: it loses and gains nothing.",
        ),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits deep networks whose blocks are not residual yet, and sums that are out of scale."""
        cause, layers = self.target(finding), weight_layers(anatomy)
        if cause is not None and cause.kind is CauseKind.RESIDUAL:
            return self._mend(cause)
        if cause is None or len(layers) < _SHALLOW or has_residual(finding) or through_time(finding, anatomy):
            return None
        square = sum(layer.fan_in is not None and layer.fan_in == layer.fan_out for layer in layers)
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit * (0.8 + 0.2 * square / len(layers)),
            advice="Add residual connections, x + f(x) around every one or two hidden layers.",
            reason=f"{self.because(cause)} {_shapes(square, len(layers))}",
        )

    def _mend(self, cause: Cause) -> Advice:
        """For blocks that are residual already, with sums of the wrong size."""
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="residual branches that begin at zero",
            advice="Start the last weights, or a scale, of each branch at zero; leave the skip alone.",
            reason=f"{self.because(cause)} Branches divided by the root of their number do as well.",
        )


def _shapes(square: int, layers: int) -> str:
    if square == 0:
        return f"No layer of the {layers} keeps its shape, so that each needs a projection on the way around it."
    rest = "" if square == layers else "; the others need a projection on the way around them"
    return f"{square} of {layers} layers keep their shape{rest}."
