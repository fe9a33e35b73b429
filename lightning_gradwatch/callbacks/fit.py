"""What the watch holds only while a fit runs: the model's names, the optimizers, the open step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.callbacks import notes
from lightning_gradwatch.measure.parameters import owned_by
from lightning_gradwatch.measure.schedule import Schedule
from lightning_gradwatch.measure.step import StepMeter
from lightning_gradwatch.records import Frame


class LiveFit:
    """One running fit, as seen by the watch.

    Args:
        trainer: a trainer of either namespace.
        module: its LightningModule.
        sampled: the last step that was measured, of a fit that is resumed.
    """

    def __init__(self, trainer: Any, module: Any, sampled: int = -1) -> None:
        self.sampled = sampled  # the last step that was chosen to be measured
        self._trainer, self._module = trainer, module
        self._meter: StepMeter | None = None

    def chooses(self, schedule: Schedule) -> bool:
        """Whether the batch that starts now is measured; the same on all ranks, also where a watch has failed.

        A scheduled step, or one that may turn out to be the last.
        """
        step = _lightning.step_of(self._trainer)
        chosen = step != self.sampled and _lightning.completes_window(self._trainer, self._module)
        if not chosen or not (schedule.due(step) or self._may_be_last(step, schedule)):
            return False
        self.sampled = step
        return True

    def _may_be_last(self, step: int, schedule: Schedule) -> bool:
        """Early stopping ends a fit after an epoch, unannounced."""
        late = step - self.sampled >= schedule.every_n_steps // 2
        return _lightning.is_last_step(self._trainer) or (bool(self._trainer.is_last_batch) and late)

    def begin(self) -> None:
        """Measure the batch that starts now."""
        # Names afresh: parameters come and go during a fit (unfreezing, lazy modules, swaps).
        self._meter = StepMeter(parameter_names(self._module))
        self._global_step = int(self._trainer.global_step)
        self._rates = tuple(
            float(group["lr"])
            for optimizer in _lightning.optimizers_of(self._trainer)
            for group in optimizer.param_groups
        )

    def backward_begins(self, loss: Any) -> None:
        """A backward of this batch is about to start."""
        root = None if self._meter is None else _lightning.loss_node(self._trainer, self._module, loss)
        if self._meter is None or root is None:  # a loss without a graph: torch will tell the user
            return
        scale = _lightning.loss_scale(self._trainer) / _lightning.loss_divisor(self._trainer, self._module)
        value = _lightning.loss_value(self._trainer, self._module, loss)
        self._meter.backward_begins(root, value, scale, again=not self._module.automatic_optimization)

    def backward_ends(self) -> None:
        """A backward of this batch is over."""
        if self._meter is not None:
            self._meter.backward_ends()

    def optimizer_steps(self, optimizer: Any) -> None:
        """This optimizer is about to use its gradients."""
        if self._meter is None:
            return
        every = _lightning.optimizers_of(self._trainer)
        raw = _lightning.unwrapped(optimizer)
        index = next((i for i, other in enumerate(every) if other is raw), 0)
        scale = _lightning.gradient_scale(self._trainer, optimizer)
        self._meter.optimizer_steps(index, owned_by(raw, index, self._meter.names), scale)

    def finish(self, batch: int, rate_scale: float) -> Frame:
        """The frame of this batch."""
        meter, self._meter = self._meter, None
        if meter is None:
            raise RuntimeError("a step is finished that was never begun")
        loss, ledgers, parameters = meter.finish()
        scaled = _lightning.has_scaler(self._trainer)
        return Frame(
            step=self.sampled,
            global_step=self._global_step,
            epoch=int(self._trainer.current_epoch),
            batch=batch,
            loss=loss,
            rates=self._rates,
            rate_scale=rate_scale,
            loss_scale=_lightning.loss_scale(self._trainer),
            skipped=scaled and any(reading.nonfinite for reading in parameters),
            ledgers=ledgers,
            parameters=parameters,
        )

    def drop(self) -> None:
        """Forget the step at hand and take its hooks away."""
        meter, self._meter = self._meter, None
        if meter is not None:
            meter.backward_ends()


def remarks(frame: Frame) -> list[str]:
    """What a user should know about how this frame was measured."""
    said = [notes.OPAQUE] if any(ledger.opaque for ledger in frame.ledgers) else []
    if not frame.ledgers and any(reading.norm for reading in frame.parameters):
        said.append(notes.BLIND)
    return said


def config_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings and versions, for the head of a recording."""
    return {**settings, "versions": _lightning.versions()}
