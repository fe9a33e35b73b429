"""Who trains: the one place that says which gradients, of which optimizer, at what scale, at which real step.

Everything else asks a host and knows no trainer: ``TrainerHost`` is a Lightning fit, ``loop.LoopHost`` a loop of the
user's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lightning_gradwatch import _lightning


@dataclass(frozen=True)
class Backward:
    """One backward that is about to start."""

    root: Any  # the autograd node of the user's own loss
    loss: Any  # the value of that loss, a 0-d tensor
    scale: float  # what the loss is multiplied by on its way to the backward


class Host(Protocol):
    """What the watch has to know of a training loop."""

    @property
    def model(self) -> Any:
        """The network, whose ``named_parameters`` and ``named_modules`` name everything."""
        ...

    @property
    def step(self) -> int:
        """The x axis of the user's own loss curve; the same for all moments of one real step."""
        ...

    @property
    def global_step(self) -> int:
        """How many optimizer steps there were, as the host counts them."""
        ...

    @property
    def epoch(self) -> int:
        """The running epoch."""
        ...

    @property
    def optimizers(self) -> list[Any]:
        """The torch optimizers."""
        ...

    @property
    def by_hand(self) -> bool:
        """Whether the user calls backward and step: several losses, several steps, clipping whenever it pleases."""
        ...

    @property
    def has_scaler(self) -> bool:
        """Whether an AMP gradient scaler may skip steps."""
        ...

    @property
    def loss_scale(self) -> float:
        """What the scaler multiplies losses by now; 1 without one.  Waits for the device."""
        ...

    @property
    def completes_window(self) -> bool:
        """Whether the batch at hand is the last of its accumulation window, after which the optimizer steps."""
        ...

    @property
    def may_end_here(self) -> bool:
        """Whether the fit is known to end with the batch at hand."""
        ...

    @property
    def should_stop(self) -> bool:
        """Whether somebody has asked the fit to end."""
        ...

    @property
    def checks_here(self) -> bool:
        """Whether a validation or the end of the epoch follows the batch at hand: early stopping looks there."""
        ...

    @property
    def idle(self) -> bool:
        """Whether the batch at hand made no optimizer step although others do: the user accumulates by hand."""
        ...

    @property
    def is_searching(self) -> bool:
        """Whether these steps are not the fit's but a search for a learning rate or a batch size, undone afterwards."""
        ...

    def begins_batch(self) -> None:
        """A batch starts."""
        ...

    @property
    def engine(self) -> Any:
        """What the strategy made of the model: its wrapper around it, or the model itself."""
        ...

    @property
    def ranks(self) -> dict[str, Any]:
        """How many processes train together: ``size``, ``losses`` and ``device`` of ``measure.ranks.Ranks``."""
        ...

    def window(self, batch: int) -> tuple[int, int]:
        """How many micro-batches the gradient of this batch holds, and how many its loss was divided by."""
        ...

    def backward(self, loss: Any) -> Backward | None:
        """What the backward of this loss is; None: it has no graph."""
        ...

    def gradient_scale(self, optimizer: Any) -> float:
        """What to divide this optimizer's gradients by, right before it steps, to get the true ones."""
        ...

    def any_rank(self, decision: bool) -> bool:
        """Whether any rank decided so: every rank must ask on the same steps."""
        ...

    @property
    def planned_steps(self) -> float:
        """How many optimizer steps there will be in all; infinite where nobody knows."""
        ...

    def fresh_batches(self) -> Iterable[Any]:
        """Training batches as the network gets them, read anew; none where the data can be read only once."""
        ...

    @property
    def reads_once(self) -> bool:
        """Whether the training data is a stream, which gives its batches once."""
        ...

    def midway(self) -> dict[str, Any]:
        """Where the fit stands and what is done around its steps, for copies: arguments of ``verify.stage.Midway``."""
        ...

    @property
    def is_alone(self) -> bool:
        """Whether this process trains by itself."""
        ...

    @property
    def leads(self) -> bool:
        """Whether this process is rank 0."""
        ...

    @property
    def hindrance(self) -> str:
        """Why the network cannot get other parts while it is trained, one sentence; "" where it can."""
        ...

    @property
    def holds_copy(self) -> str:
        """Who holds a copy of the network that is brought up to date, part by part; "": nobody."""
        ...

    def from_rank_zero(self, value: Any) -> Any:
        """What rank 0 has: every rank must ask on the same steps."""
        ...

    def edited(self) -> None:
        """The network has other parameters now, alike on all ranks."""
        ...

    def switched(self) -> None:
        """Optimizers may be of another class now."""
        ...

    def publish(self, values: Mapping[str, float]) -> None:
        """Let others monitor these values."""
        ...

    def stop(self) -> None:
        """End the fit."""
        ...


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
