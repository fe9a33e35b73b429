"""A Lightning fit, as the watch sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.callbacks.host import Backward


class TrainerHost:
    """A fit of a Trainer of either Lightning namespace.

    Args:
        trainer: the trainer.
        module: its LightningModule.
    """

    def __init__(self, trainer: Any, module: Any) -> None:
        self._trainer, self.model = trainer, module
        self._begun_at = -1
        self._callbacks = list(trainer.callbacks)

    @property
    def step(self) -> int:
        """The x axis of a logged loss."""
        return _lightning.step_of(self._trainer)

    @property
    def global_step(self) -> int:
        """``trainer.global_step``."""
        return int(self._trainer.global_step)

    @property
    def epoch(self) -> int:
        """``trainer.current_epoch``."""
        return int(self._trainer.current_epoch)

    @property
    def optimizers(self) -> list[Any]:
        """The torch optimizers, without Lightning's wrappers."""
        return _lightning.optimizers_of(self._trainer)

    @property
    def by_hand(self) -> bool:
        """Whether the module optimizes manually."""
        return not self.model.automatic_optimization

    @property
    def has_scaler(self) -> bool:
        """Whether the precision plugin scales."""
        return _lightning.has_scaler(self._trainer)

    @property
    def loss_scale(self) -> float:
        """The precision plugin's scale."""
        return _lightning.loss_scale(self._trainer)

    @property
    def completes_window(self) -> bool:
        """Always in manual optimisation, whose windows are the user's."""
        return _lightning.completes_window(self._trainer, self.model)

    @property
    def should_stop(self) -> bool:
        """``trainer.should_stop``."""
        return bool(self._trainer.should_stop)

    @property
    def may_end_here(self) -> bool:
        """As far as ``max_steps``, ``max_epochs``, ``should_stop`` and the patience of early stopping tell."""
        if _lightning.is_last_step(self._trainer):
            return True
        return _lightning.is_out_of_patience(self._trainer) and self.checks_here

    @property
    def checks_here(self) -> bool:
        """As far as the settings of validation tell."""
        return _lightning.is_checked_after(self._trainer)

    @property
    def is_searching(self) -> bool:
        """Lightning's searches put all callbacks of the fit aside."""
        now = self._trainer.callbacks
        return bool(self._callbacks) and not any(one in now for one in self._callbacks)

    def begins_batch(self) -> None:
        """Remember where the batch began."""
        self._begun_at = self.global_step

    @property
    def idle(self) -> bool:
        """Told by the trainer's count, which is the same on all ranks, also where a watch has failed.

        Where it never moves (steps of raw torch optimizers are not counted) nothing can be said.
        """
        return self.by_hand and 0 < self.global_step == self._begun_at

    @property
    def engine(self) -> Any:
        """``trainer.strategy.model``."""
        return _lightning.engine(self._trainer, self.model)

    @property
    def ranks(self) -> dict[str, Any]:
        """What the strategy says."""
        return _lightning.ranks(self._trainer)

    def window(self, batch: int) -> tuple[int, int]:
        """Lightning counts micro-batches from the beginning of the epoch."""
        divisor = _lightning.loss_divisor(self._trainer, self.model)
        return batch % divisor + 1, divisor

    def backward(self, loss: Any) -> Backward | None:
        """Below Lightning's own division and the scaler's multiplication."""
        root = _lightning.loss_node(self._trainer, self.model, loss)
        if root is None:  # a loss without a graph: torch will tell the user
            return None
        scale = self.loss_scale / _lightning.loss_divisor(self._trainer, self.model)
        return Backward(root, _lightning.loss_value(self._trainer, self.model, loss), scale)

    def gradient_scale(self, optimizer: Any) -> float:
        """1 once the scaler has unscaled them, which fused optimizers leave to their own kernel."""
        return _lightning.gradient_scale(self._trainer, optimizer)

    def any_rank(self, decision: bool) -> bool:
        """A collective where there are several ranks."""
        return _lightning.any_rank(self._trainer, decision)

    @property
    def planned_steps(self) -> float:
        """``trainer.estimated_stepping_batches``."""
        return _lightning.planned_steps(self._trainer)

    def fresh_batches(self) -> Iterable[Any]:
        """A pass of its own over the trainer's loaders."""
        return _lightning.training_batches(self._trainer)

    @property
    def reads_once(self) -> bool:
        """As far as its loaders tell."""
        return _lightning.reads_once(self._trainer)

    def midway(self) -> dict[str, Any]:
        """What the Trainer says."""
        return {**_lightning.rehearsal(self._trainer, self.model), "step": self.global_step, "epoch": self.epoch}

    @property
    def is_alone(self) -> bool:
        """``trainer.world_size``."""
        return int(self._trainer.world_size) == 1

    @property
    def leads(self) -> bool:
        """``trainer.is_global_zero``."""
        return bool(self._trainer.is_global_zero)

    @property
    def hindrance(self) -> str:
        """What the strategy has made of it."""
        return _lightning.hindrance(self._trainer, self.model)

    @property
    def holds_copy(self) -> str:
        """A callback that averages weights."""
        return _lightning.holds_copy(self._trainer)

    def from_rank_zero(self, value: Any) -> Any:
        """A broadcast where there are several ranks."""
        return _lightning.from_rank_zero(self._trainer, value)

    def edited(self) -> None:
        """Data parallelism has to know; it also gives all ranks the weights of rank 0."""
        _lightning.wrap_again(self._trainer, self.model)
        self.switched()

    def switched(self) -> None:
        """Lightning's wrappers have to know."""
        _lightning.rename_wrappers(self._trainer)

    def publish(self, values: Mapping[str, float]) -> None:
        """In ``trainer.callback_metrics``."""
        _lightning.publish(self._trainer, values)

    def stop(self) -> None:
        """``trainer.should_stop``."""
        self._trainer.should_stop = True
