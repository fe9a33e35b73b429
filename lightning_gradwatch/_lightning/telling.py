"""Telling: what callbacks may monitor, the console hears and a report keeps."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

from lightning_gradwatch import voice
from lightning_gradwatch._lightning.together import is_rank_zero


def publish(trainer: Any, values: Mapping[str, float]) -> None:
    """Let callbacks monitor these values, without any logger or progress bar hearing of them.

    Into ``trainer.callback_metrics``, as LearningRateMonitor does, but without asking for that property: it computes
    what the user logs.
    """
    import torch

    tensors = {key: torch.tensor(value, device="cpu") for key, value in values.items()}
    trainer._logger_connector._callback_metrics.update(tensors)


def say(text: str, *, warns: bool = False) -> None:
    """Tell the user, on one rank, as the watch does."""
    if is_rank_zero():
        voice.prepare()
        voice.logger.log(logging.WARNING if warns else logging.INFO, "GradWatch %s", text)


@functools.cache  # reading package metadata takes milliseconds, and every watch asks
def versions() -> dict[str, str]:
    """The versions of what was running, for the report."""
    from importlib import metadata

    found = {}
    for package in ("lightning-gradwatch", "torch", "lightning", "pytorch-lightning"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
