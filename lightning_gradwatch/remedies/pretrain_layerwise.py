"""Layers that are worth having before the gradient reaches them."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
from lightning_gradwatch.remedies.network import weight_layers

_LOCAL = "each layer first learns from a loss of its own, one layer away, and not through the whole network."


class PretrainLayerwise(RemedyRule):
    """Unsupervised pretraining layer by layer, then fine-tuning of the whole."""

    name: ClassVar[str] = "PretrainLayerwise"
    title: ClassVar[str] = "layer-wise pretraining"
    source: ClassVar[str] = (
        "Hinton, Osindero & Teh, A fast learning algorithm for deep belief nets (2006), section 4; "
        "Bengio et al., Greedy layer-wise training of deep networks (2007)"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.INITIALIZATION: Cure(fit=0.35, why=_LOCAL),
        CauseKind.DEPTH: Cure(fit=0.3, why=_LOCAL),
        CauseKind.ACTIVATION: Cure(fit=0.2, why=_LOCAL),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits plain stacks of layers; not sequences, whose layers are no autoencoders of their inputs."""
        cause, layers = self.target(finding), weight_layers(anatomy)
        sequence = any(layer.family in ("recurrent", "attention") for layer in anatomy.layers)
        if cause is None or sequence or len(layers) < 2:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice=f"Pretrain the {len(layers) - 1} hidden layers one after the other as autoencoders, then fine-tune.",
            reason=f"{self.because(cause)} It leaves the network as it is, with the way that loses the gradient: "
            "for networks that may not be changed.",
        )
