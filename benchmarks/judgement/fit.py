"""What one labelled fit is: how it is built, and what its author meant it to be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Setup:
    """Everything a Trainer needs for one fit, freshly made."""

    module: Any  # a LightningModule of lightning.pytorch (or pytorch_lightning where the first is missing)
    loader: Any  # training batches
    trainer: dict[str, Any] = field(default_factory=dict)  # further arguments of Trainer: precision, ...
    callbacks: Sequence[Any] = ()  # what the fit itself needs, e.g. a callback that spoils the weights at step 120
    ckpt_path: str | None = None  # of a fit that is resumed
    batch: Any = None  # the batch of the float64 measurement; by default the loader's first


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One labelled fit.  The label is what the author built; ``labels.py`` confirms it by measurement."""

    name: str  # unique, says it all: "mlp-sigmoid-20-default"; the half (develop or judge) is a hash of it
    family: str  # "mlp", "cnn", "rnn", "transformer", "gan", "autoencoder", "branches", "fine-tuning", "precision", ...
    why: str  # one sentence: why it is sick, or which sickness it looks like and why it is none
    build: Callable[[int], Setup]  # from a seed
    health: Literal["sick", "healthy", "mild"]  # mild: may be said as "info", must not ring
    kinds: tuple[str, ...] = ()  # kinds of finding that are right, best first ("vanishing", "saturation")
    causes: tuple[str, ...] = ()  # first causes that are right, best first ("activation",)
    layers: tuple[str, ...] = ()  # names or prefixes of modules where the sickness sits; () = as measured
    onset: int = 0  # first sick step
    steps: int = 150
    seeds: tuple[int, ...] = (0,)  # each seed is a fit of its own, named "<name>-s<seed>"

    @property
    def half(self) -> str:
        """``develop`` or ``judge``: by a hash of the name (without the seed), once and for all."""
        return "judge" if hashlib.sha256(self.name.encode()).digest()[0] % 2 else "develop"
