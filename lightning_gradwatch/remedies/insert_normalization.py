"""Normalisation between weights and activation."""

from __future__ import annotations

import re
from collections import Counter
from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
from lightning_gradwatch.remedies.network import has_norm, through_time, weight_layers


class InsertNormalization(RemedyRule):
    """Batch normalisation after every layer and before its activation; layer normalisation where that suits better."""

    name: ClassVar[str] = "InsertNormalization"
    title: ClassVar[str] = "batch normalisation"
    source: ClassVar[str] = (
        "Ioffe & Szegedy, Batch normalization (2015), algorithm 1 and section 3.3; "
        "Ba, Kiros & Hinton, Layer normalization (2016), equation 3"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.ACTIVATION: Cure(
            fit=0.85, why="normalised inputs stay where the slope is large, and what the slope takes is scaled back."
        ),
        CauseKind.DEPTH: Cure(
            fit=0.8, why="every layer's gradient is scaled anew, so that small factors do not multiply."
        ),
        CauseKind.INITIALIZATION: Cure(
            fit=0.7, why="behind a normalisation the scale of the weights no longer matters."
        ),
        CauseKind.LEARNING_RATE: Cure(
            fit=0.5, why="larger weights get smaller gradients behind it, which tames big steps."
        ),
        CauseKind.NORMALIZATION: Cure(
            fit=0.9, why="every layer is handed numbers of size 1, from enough values, and the skip stays free."
        ),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits networks without any that are not recurrent where they are judged; and those whose own is wrong."""
        cause = self.target(finding)
        if cause is not None and cause.code in _MEND:
            title, advice = _MEND[cause.code]
            fit = self.cures[cause.kind].fit
            return Advice(
                cause=cause.kind, fit=fit, title=title, advice=advice, reason=f"{self.because(cause)} {_ANEW}"
            )
        layers = weight_layers(anatomy)
        if cause is None or not layers or has_norm(finding, anatomy) or through_time(finding, anatomy):
            return None
        norm = _norm(anatomy)
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="layer normalisation" if norm == "LayerNorm" else self.title,
            advice=f"Insert torch.nn.{norm} after each hidden layer, before its activation.",
            reason=f"{self.because(cause)} No layer of the {len(layers)} with weights is followed by one; "
            "with fewer than about 16 samples a batch take GroupNorm or LayerNorm.",
        )


# A normalisation that is there already, in the wrong place or of too few values: its rule -> title, what to do.
_MEND = {
    "GW402": (
        "normalisation inside the branch",
        "Normalise inside the branch, x + f(norm(x)): norm_first=True, and once at the end.",
    ),
    "GW403": (
        "group normalisation",
        "Replace BatchNorm by GroupNorm or LayerNorm, or take larger batches.",
    ),
}
_ANEW = "It is another network: train it from the start."


def _norm(anatomy: Anatomy) -> str:
    if any(layer.family in ("recurrent", "attention", "embedding") for layer in anatomy.layers):
        return "LayerNorm"  # sequences: lengths and batches vary, features do not
    dimensions = Counter(_dimensions(layer.type) for layer in weight_layers(anatomy))
    return f"BatchNorm{dimensions.most_common(1)[0][0]}d"


def _dimensions(layer_type: str) -> str:
    """Of what a layer works on: "Conv2d" -> "2"; a linear layer counts as 1."""
    found = re.search(r"([123])d", layer_type)
    return found.group(1) if found else "1"
