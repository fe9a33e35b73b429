"""Training: what a Trainer does around the step of a network, for copies of it."""

from __future__ import annotations

import importlib
from typing import Any

from lightning_gradwatch._lightning.namespaces import namespace_of


def rehearsal(trainer: Any, module: Any) -> dict[str, Any]:
    """What a Trainer does around the training of a network, for copies of it: autocast, and clipping."""
    plugin, value = trainer.precision_plugin, trainer.gradient_clip_val
    clips = value is not None and module.automatic_optimization

    def clip(optimizer: Any) -> None:
        plugin.clip_gradients(optimizer, clip_val=value, gradient_clip_algorithm=_clipping(trainer))

    schedulers = len(trainer.lr_scheduler_configs)
    return {"context": plugin.train_step_context, "clip": clip if clips else None, "schedulers": schedulers}


def _clipping(trainer: Any) -> Any:
    kind = importlib.import_module(f"{namespace_of(trainer)}.utilities").GradClipAlgorithmType
    return kind(trainer.gradient_clip_algorithm or "norm")
