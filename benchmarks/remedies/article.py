"""The article's causes as networks, its remedies as treatments, and which is tried on which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from twin import HERE  # noqa: F401  # puts the judgement's folder on the path

from zoo._networks import mlp, normal  # isort: skip
from zoo.sick_saturated import _hidden as hidden  # isort: skip
from zoo.sick_through_time import Recall  # isort: skip

from lightning_gradwatch import (
    AddResidual,
    ClipGradients,
    DecayLR,
    Initialize,
    InsertNormalization,
    PretrainLayerwise,
    ReplaceActivation,
    SwapRecurrent,
    SwitchOptimizer,
)

WAIT = 40  # empty steps over which the recurrent net has to carry a digit


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One sick network."""

    title: str
    network: Callable[[], nn.Module]
    optimizer: Callable[[Any], Any] = field(default=lambda parameters: torch.optim.SGD(parameters, 0.005, momentum=0.9))
    optimizer_name: str = "SGD, rate 0.005, momentum 0.9"
    in_time: bool = False  # whether what is lost is lost through time
    remedies: tuple[str, ...] = ()  # names in REMEDIES


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """One row of a table."""

    title: str
    treatments: Callable[[], Sequence[Any]]
    batch: int = 64
    steps: int = 0  # 0: as many as without it


def _one(title: str, *make: Callable[[], Any], **more: Any) -> Remedy:
    return Remedy(title=title, treatments=lambda: [one() for one in make], **more)


def _small(title: str, make: Callable[[], Any], batch: int) -> Remedy:
    """On tiny batches: more steps, under an optimizer that stands their noise."""
    steady = {"batch": batch, "steps": 1500}
    return _one(
        f"{title}, batches of {batch} (Adam at 0.0003)", lambda: SwitchOptimizer("adam", lr=3e-4), make, **steady
    )


def _relu() -> Any:
    return ReplaceActivation("relu")


def _he() -> Any:
    return Initialize("he")


def _xavier() -> Any:
    return Initialize("xavier")


def _adam() -> Any:
    return SwitchOptimizer("adam")


def _decay() -> Any:
    return DecayLR(0.5, when="stepwise", every_n_steps=50)


def _batch_norm() -> Any:
    return InsertNormalization("batch")


REMEDIES: dict[str, Remedy] = {
    "nothing": Remedy(title="nothing", treatments=list),
    "relu": _one("ReLU alone, weights as they are", _relu),
    "relu-he": _one("ReLU, He weights", _relu, _he),
    "leaky-he": _one("LeakyReLU, He weights", lambda: ReplaceActivation("leaky_relu"), _he),
    "prelu-he": _one("PReLU, He weights", lambda: ReplaceActivation("prelu"), _he),
    "elu-he": _one("ELU, He weights", lambda: ReplaceActivation("elu"), _he),
    "xavier": _one("Xavier weights", _xavier),
    "he": _one("He weights", _he),
    "batch-norm": _one("batch normalisation", _batch_norm),
    "batch-norm-1": _small("batch normalisation", _batch_norm, batch=1),
    "batch-norm-2": _small("batch normalisation", _batch_norm, batch=2),
    "layer-norm-2": _small("layer normalisation", lambda: InsertNormalization("layer"), batch=2),
    "he-2": _small("He weights", _he, batch=2),
    "residual": _one("residual connections", AddResidual),
    "pretraining": _one("layer-wise pretraining", PretrainLayerwise),
    "decay": _one("learning-rate decay", _decay),
    "adam": _one("Adam", _adam),
    "adam-xavier": _one("Adam, Xavier weights", _adam, _xavier),
    "adam-he": _one("Adam, He weights", _adam, _he),
    "adam-relu-he": _one("Adam, ReLU, He weights", _adam, _relu, _he),
    "adam-batch-norm": _one("Adam, batch normalisation", _adam, _batch_norm),
    "clipping": _one("gradient clipping at norm 1", lambda: ClipGradients(1.0)),
    "lstm": _one("LSTM", lambda: SwapRecurrent("lstm")),
    "gru": _one("GRU", lambda: SwapRecurrent("gru")),
    "lstm-keeping": _one("LSTM, forget bias log(T - 1)", lambda: SwapRecurrent("lstm", forget_bias=3.8)),
    "gru-keeping": _one("GRU, update bias log(T - 1)", lambda: SwapRecurrent("gru", forget_bias=3.8)),
    "orthogonal": _one("orthogonal weights", lambda: Initialize("orthogonal")),
}

_SQUASHED = (
    *("nothing", "relu", "relu-he", "leaky-he", "prelu-he", "elu-he", "xavier", "batch-norm", "residual"),
    *("pretraining", "decay", "clipping", "adam", "adam-xavier", "adam-relu-he", "adam-batch-norm"),
)
_RECTIFIED = (
    *("nothing", "he", "leaky-he", "prelu-he", "elu-he", "batch-norm", "residual", "pretraining"),
    *("decay", "clipping", "adam", "adam-he", "adam-batch-norm"),
)
_SMALL_BATCHES = ("batch-norm-1", "batch-norm-2", "layer-norm-2", "he-2")
CAUSES: dict[str, Cause] = {
    "sigmoid-20": Cause(
        title="Activation: 20 sigmoids, torch's own weights", network=lambda: mlp(20, nn.Sigmoid), remedies=_SQUASHED
    ),
    "tanh-saturated": Cause(
        title="Activation: 8 tanh, saturated by weights of N(0, 9)",
        network=lambda: hidden(mlp(8, nn.Tanh), 3.0),
        remedies=_SQUASHED,
    ),
    "relu-30": Cause(
        title="Depth: 30 ReLU, torch's own weights", network=lambda: mlp(30, nn.ReLU), remedies=_RECTIFIED
    ),
    "tanh-30": Cause(title="Depth: 30 tanh, torch's own weights", network=lambda: mlp(30, nn.Tanh), remedies=_SQUASHED),
    "tanh-tiny": Cause(
        title="Initialisation: 10 tanh, weights of N(0, 0.0001)",
        network=lambda: normal(mlp(10, nn.Tanh), 0.01),
        remedies=_SQUASHED,
    ),
    "relu-16": Cause(
        title="Initialisation: 16 ReLU, torch's own weights",
        network=lambda: mlp(16, nn.ReLU),
        remedies=(*_RECTIFIED, *_SMALL_BATCHES),
    ),
    "recall": Cause(
        title=f"Recurrence: nn.RNN recalls a digit after {WAIT} empty steps",
        network=lambda: Recall(nn.RNN(8, 48, batch_first=True), WAIT),
        optimizer=lambda parameters: torch.optim.Adam(parameters, 0.01),
        optimizer_name="Adam, rate 0.01",
        in_time=True,
        remedies=("nothing", "lstm", "gru", "lstm-keeping", "gru-keeping", "orthogonal", "decay", "clipping"),
    ),
}
