"""What the watch holds only while a fit runs: the host, the open step, the hooks of the optimizers at hand."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Protocol

from lightning_gradwatch import _lightning
from lightning_gradwatch.anatomy import flat_slices, gathered_names, parameter_names
from lightning_gradwatch.callbacks import notes
from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.callbacks.lookout import Lookout
from lightning_gradwatch.callbacks.skips import Skips
from lightning_gradwatch.callbacks.wakefulness import Wakefulness
from lightning_gradwatch.measure.parameters import owned_by
from lightning_gradwatch.measure.ranks import Ranks, Trouble
from lightning_gradwatch.measure.schedule import Schedule
from lightning_gradwatch.measure.silence import Silence
from lightning_gradwatch.measure.step import MOST_LEDGERS, Reading, StepMeter
from lightning_gradwatch.measure.traits import traits_of
from lightning_gradwatch.measure.vigil import EVERY
from lightning_gradwatch.records import Frame
from lightning_gradwatch.remedies.rate_scale import RateScale

_TROUBLES = {
    Trouble.ABSENT: notes.ABSENT,
    Trouble.INCOMPLETE: notes.INCOMPLETE,
    Trouble.DIFFERENT: notes.DIFFERENT,
    Trouble.TOO_LONG: notes.TOO_LONG,
    Trouble.MUTE: notes.MUTE,
}


class Listener(Protocol):
    """Who hears of the optimizers' steps while a step is measured, and survives errors."""

    def optimizer_begins(self, optimizer: Any) -> None:
        """This optimizer is about to step."""

    def optimizer_made(self, optimizer: Any) -> None:
        """This optimizer has stepped."""


class LiveFit:
    """One running fit, as seen by the watch.

    Args:
        host: who trains.
        schedule: which steps are measured.
        wakefulness: which are measured beside them.
        sampled: the last step that was measured, of a fit that is resumed.
        skipped: how many steps the AMP scaler had skipped by then.
        begun: the step at which the network became what it is, from which on steps are counted for the schedule.
        owed: whether the last chosen batch made no step, so that the next one is measured instead.
        scale: what the learning rates are multiplied by.
        silence: what is remembered of units from one measured step to the next.
    """

    def __init__(
        self,
        host: Host,
        schedule: Schedule,
        wakefulness: Wakefulness,
        *,
        sampled: int = -1,
        skipped: int = 0,
        owed: bool = False,
        begun: int = 0,
        scale: RateScale | None = None,
        silence: Silence | None = None,
    ) -> None:
        self.host = host
        self.sampled = self._earlier = sampled  # the last step that was chosen to be measured, and the one before
        self.ranks = Ranks(**host.ranks, parameters=sum(1 for _ in host.model.parameters()))
        self.skips = Skips(host, skipped)
        self.remarks: list[str] = []  # what a user should know about how the last frame was measured
        self.owed, self._begun = owed, begun
        self._schedule, self._waking = schedule, wakefulness.waking
        self._woken = False  # whether the last chosen step was not planned
        self._is_mute = Trouble.MUTE in self.ranks.troubles
        alone = self.ranks.size == 1 and not self._is_mute
        self.lookout = Lookout(host, wakefulness, is_on=alone and schedule.every_n_steps > EVERY)
        self.previous: Frame | None = None  # the last measured step
        self._scale = scale or RateScale()
        self._silence = Silence() if silence is None else silence
        self._meter: StepMeter | None = None
        self._handles: list[Any] = []

    # --- when -----------------------------------------------------------------------------------------------------

    def chooses(self) -> bool:
        """Whether the batch that starts now is measured; the same on all ranks, also where a watch has failed.

        A scheduled step, one that may turn out to be the last, or one that something woke the watch for.
        """
        self.host.begins_batch()
        step = self.host.step
        chosen = step != self.sampled and self.host.completes_window
        if not chosen:
            return False
        planned = self.owed or self._schedule.due(step - self._begun) or self._may_be_last(step)
        if not planned and not self._waking.due(step):
            return False
        self._woken = not planned
        if self._woken:
            self._waking.spend()
        self._earlier, self.sampled = self.sampled, step
        self.ranks.expect()
        return True

    def retract(self) -> None:
        """The batch that was chosen last never became a step."""
        self.sampled = self._earlier
        if self._woken:
            self._waking.refund()

    def attend(self, suspicious: bool) -> None:
        """Stay awake while a symptom is neither a finding nor gone; all ranks alike, also where a watch has failed.

        Ranks that cannot talk to each other could not agree on it.
        """
        if not self._is_mute:
            self._waking.attend(self.sampled, self.agree(suspicious))

    def _may_be_last(self, step: int) -> bool:
        """Early stopping ends a fit after a validation or an epoch, unannounced."""
        late = step - self.sampled >= self._schedule.every_n_steps // 2
        return self.host.may_end_here or (late and self.host.checks_here)

    def settle(self) -> None:
        """The chosen batch is over."""
        self.owed = self.host.idle

    # --- what -----------------------------------------------------------------------------------------------------

    def begin(self, listener: Listener) -> None:
        """Measure the batch that starts now."""
        # Names afresh: parameters come and go during a fit (unfreezing, lazy modules, swaps).
        self._meter = StepMeter(parameter_names(self.host.model), self.ranks, self._silence, self.previous)
        self._flat = flat_slices(self.host.engine, self.ranks.size)
        self._global_step = self.host.global_step
        optimizers = self.host.optimizers
        self._rates = [self._scale.rates_of(optimizer) for optimizer in optimizers]
        for optimizer in optimizers:
            self._listen(optimizer, listener)

    def _listen(self, optimizer: Any, listener: Listener) -> None:
        if not hasattr(optimizer, "register_step_post_hook"):
            return
        made = functools.partial(_call, listener.optimizer_made)
        self._handles.append(optimizer.register_step_post_hook(made))
        if self.host.by_hand:  # elsewhere the step hook comes before the closure, and with it before the gradient
            begins = functools.partial(_call, listener.optimizer_begins)
            self._handles.append(optimizer.register_step_pre_hook(begins))

    def backward_begins(self, loss: Any) -> None:
        """A backward of this batch is about to start."""
        backward = None if self._meter is None else self.host.backward(loss)
        if self._meter is not None and backward is not None:
            self._meter.names = {**self._meter.names, **gathered_names(self.host.model, self._meter.names)}
            self._meter.backward_begins(backward.root, backward.loss, backward.scale, again=self.host.by_hand)

    def backward_ends(self) -> None:
        """A backward of this batch is over; where it may be clipped before its optimizer step, it is read now."""
        if self._meter is None:
            return
        self._meter.backward_ends()
        optimizers = self.host.optimizers
        self._meter.strays.look(optimizers, self._meter.names, self.host.engine is not self.host.model)
        if self.host.by_hand or self.host.has_scaler:
            scale = self.host.loss_scale  # waits for the device: once
            for index, optimizer in enumerate(optimizers):
                owned = owned_by(optimizer, index, self._meter.names, self.ranks.size, self._flat)
                self._meter.optimizer(index).arrives(owned, scale)

    def optimizer_begins(self, optimizer: Any) -> None:
        """This optimizer is about to use its gradients."""
        raw = _lightning.unwrapped(optimizer)
        self.lookout.optimizer_begins(raw)
        self.skips.begins(raw)
        meter = self._meter
        if meter is None:
            return
        index, scale = self._index(raw), self.host.gradient_scale(optimizer)
        if index < len(self._rates):  # a warm-up may have been written since the batch began
            self._rates[index] = self._scale.rates_of(raw)
        meter.optimizer(index).begins(
            lambda: owned_by(raw, index, meter.names, self.ranks.size, self._flat),
            scale,
            meter.backwards,
            traits_of(raw, meter.names),
        )

    def optimizer_made(self, optimizer: Any) -> None:
        """This optimizer has stepped."""
        if self._meter is not None:
            self._meter.optimizer(self._index(optimizer)).ends()

    def _index(self, raw: Any) -> int:
        return next((i for i, other in enumerate(self.host.optimizers) if other is raw), 0)

    def finish(self, batch: int, rate_scale: float) -> Frame | None:
        """The frame of this batch; None: no optimizer stepped, so that there was no real step."""
        meter, self._meter = self._meter, None
        self._stop_listening()
        if meter is None:
            raise RuntimeError("a step is finished that was never begun")
        skipped = self.skips.settle()
        reading = meter.finish()
        if not reading.stepped:
            self._silence.forget()
            return None
        self._silence.commit()
        loss_scale = self.host.loss_scale
        self.remarks = self._remarks(reading, meter.backwards, loss_scale)
        if reading.is_kept_elsewhere:
            reading = reading.of_an_engine(_lightning.engine_norm(self.host.engine))
        overflowed = self.host.has_scaler and _overflowed(reading)
        if overflowed and all(one.stepped for one in reading.optimizers):  # fused: skipped inside the kernel
            skipped = self.skips.count = skipped + 1
        micro_batches, accumulation = self.host.window(batch)
        self.previous = Frame(
            step=self.sampled,
            global_step=self._global_step,
            epoch=self.host.epoch,
            batch=batch,
            loss=reading.loss,
            rates=tuple(rate for rates in self._rates for rate in rates),
            rate_scale=rate_scale,
            loss_scale=loss_scale,
            skipped=overflowed,
            skipped_steps=skipped,
            micro_batches=micro_batches,
            accumulation=accumulation,
            ledgers=reading.ledgers,
            branches=reading.branches,
            operations=reading.operations,
            times=reading.times,
            fault=None if overflowed else reading.fault,
            unowned=reading.unowned,
            parameters=reading.parameters,
            optimizers=reading.optimizers,
        )
        return self.previous

    def agree(self, decision: bool) -> bool:
        """Whether any rank decided so; all ranks ask on the same steps, also where a watch has failed."""
        if self.ranks.size > 1:
            return self.ranks.any(decision)
        return self.host.any_rank(decision)  # a strategy with a way of its own to talk

    def _remarks(self, reading: Reading, backwards: int, loss_scale: float) -> list[str]:
        said = [_TROUBLES[trouble] for trouble in self.ranks.troubles]
        if reading.is_kept_elsewhere:
            said.append(notes.kept_elsewhere(_lightning.engine_norm(self.host.engine) is not None))
        if self._flat and backwards and not reading.ledgers:
            said.append(notes.FLAT)
        if reading.hidden:
            said.append(notes.partial(reading.hidden[0], len(reading.hidden)))
        kinds = dict.fromkeys(kind for ledger in reading.ledgers for kind in ledger.closed)
        said += [notes.opaque(tuple(kinds))] if kinds else []
        if not said and not reading.ledgers and any(parameter.norm for parameter in reading.parameters):
            said.append(notes.BLIND)
        if backwards > MOST_LEDGERS:
            said.append(notes.CROWDED)
        if any(_is_clipped_to_scaled(one.norm, one.used, loss_scale) for one in reading.optimizers):
            said.append(notes.clips_scaled(loss_scale))
        return said

    def _stop_listening(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def drop(self) -> None:
        """Forget the step at hand and take all hooks away."""
        meter, self._meter = self._meter, None
        self._stop_listening()
        self._silence.forget()
        self.lookout.drop()
        if meter is not None:
            meter.backward_ends()

    def close(self) -> None:
        """The fit is over."""
        self.drop()
        self.skips.close()
        self.lookout.carry()


def _call(hear: Any, optimizer: Any, args: Any, kwargs: Any) -> None:
    """Torch's optimizer hooks may give new arguments back; this one never does."""
    hear(optimizer)


def _overflowed(reading: Reading) -> bool:
    skipped = any(not one.stepped and one.norm is not None for one in reading.optimizers)
    return skipped or any(parameter.nonfinite for parameter in reading.parameters)


def _is_clipped_to_scaled(norm: float | None, used: float | None, scale: float) -> bool:
    """Whether a clip value that was meant for true gradients met scaled ones: what is left is that value / scale.

    People clip at values around 1.  Between 1 in scaled and 1 in true units lies the square root of the scale.
    """
    if norm is None or used is None or scale <= 1:
        return False
    return 0 < used < 0.9 * norm and used * scale <= scale**0.5


def config_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings and versions, for the head of a recording."""
    return {**settings, "versions": _lightning.versions()}
