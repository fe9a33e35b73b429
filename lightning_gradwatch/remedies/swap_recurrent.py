"""A recurrent layer with gates in place of one without."""

from __future__ import annotations

from typing import ClassVar

from lightning_gradwatch.records import Anatomy, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
from lightning_gradwatch.remedies.network import PLAIN_RECURRENT

_GATED = {"RNN": ("LSTM", "GRU"), "RNNCell": ("LSTMCell", "GRUCell")}
_BECAUSE_OF_TIME = "a gated state is handed on by addition instead of by one more product with weights and slope."


class SwapRecurrent(RemedyRule):
    """LSTM or GRU in place of a plain recurrent layer."""

    name: ClassVar[str] = "SwapRecurrent"
    title: ClassVar[str] = "LSTM or GRU in place of the plain RNN"
    source: ClassVar[str] = (
        "Hochreiter & Schmidhuber, Long short-term memory (1997), section 4; "
        "Cho et al., Learning phrase representations using RNN encoder-decoder (2014), equations 5 to 8; "
        "Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks (2013), equation 5"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.RECURRENCE: Cure(fit=0.95, why=_BECAUSE_OF_TIME),
        CauseKind.ACTIVATION: Cure(fit=0.9, why=_BECAUSE_OF_TIME),
        CauseKind.DEPTH: Cure(fit=0.9, why=_BECAUSE_OF_TIME),
        CauseKind.INITIALIZATION: Cure(fit=0.8, why=_BECAUSE_OF_TIME),
    }

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits plain RNN layers only; for causes other than recurrence, if such a layer is among the sick."""
        cause = self.target(finding)
        plain = [layer for layer in anatomy.layers if layer.type in PLAIN_RECURRENT]
        sick = [layer for layer in plain if layer.name in finding.layers]
        if cause is None or not plain or not (sick or cause.kind is CauseKind.RECURRENCE):
            return None
        layer = (sick or plain)[0]
        long, short = _GATED[layer.type]
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice=f"Replace {layer.name} (torch.nn.{layer.type}) by torch.nn.{long} or torch.nn.{short}.",
            reason=f"{self.because(cause)} To remember for long start its forget gates open (bias 1 or more).",
        )
