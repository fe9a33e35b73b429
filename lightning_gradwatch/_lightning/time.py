"""Time: which step this is, whether it is a real one, and how many are to come."""

from __future__ import annotations

from typing import Any


def step_of(trainer: Any) -> int:
    """The x axis of a loss that the user logs; the same in all hooks of one batch."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)


def completes_window(trainer: Any, module: Any) -> bool:
    """Whether this micro-batch is the last of its accumulation window, after which the optimizer steps."""
    return not module.automatic_optimization or not trainer.fit_loop._should_accumulate()


def is_last_step(trainer: Any) -> bool:
    """Whether the fit is known to end with this batch."""
    after = int(trainer.global_step) + _steps_a_batch(trainer)
    if 0 <= trainer.max_steps <= after:
        return True
    epochs = int(trainer.current_epoch) + bool(trainer.is_last_batch)  # that are over once the batch is
    if trainer.is_last_batch and trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs:
        return True
    may_stop = epochs >= (trainer.min_epochs or 0) and after >= (trainer.min_steps or 0)
    return bool(trainer.should_stop and may_stop)


def _steps_a_batch(trainer: Any) -> int:
    """How far ``global_step`` moves with every batch: once for each optimizer of a manual optimisation."""
    return max(1, round(int(trainer.global_step) / max(1, step_of(trainer))))


def is_checked_after(trainer: Any) -> bool:
    """Whether this batch is followed by the end of an epoch or by a validation: where early stopping looks."""
    every = trainer.val_check_batch
    if trainer.is_last_batch or not trainer.enable_validation or every in (None, float("inf")):
        return bool(trainer.is_last_batch)
    loop = trainer.fit_loop.epoch_loop
    batch = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else loop.batch_idx
    return (batch + 1) % every == 0  # an epoch without a validation costs a measurement, no more


def is_out_of_patience(trainer: Any) -> bool:
    """Whether an early stopping may end the fit at its next look; False on several ranks, who may not agree on it."""
    stoppers = [one for one in trainer.callbacks if hasattr(one, "wait_count") and hasattr(one, "patience")]
    return trainer.world_size == 1 and any(one.wait_count + 1 >= one.patience for one in stoppers)


def planned_steps(trainer: Any) -> float:
    """How many optimizer steps the fit will make in all; infinite where nobody knows."""
    try:
        return float(trainer.estimated_stepping_batches)
    except Exception:  # loaders without a length, of any kind
        return float("inf")
