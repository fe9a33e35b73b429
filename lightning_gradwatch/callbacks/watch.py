"""The watch itself, whoever trains: hears the moments of a fit and calls the verbs.

``GradWatch`` brings it to a Trainer, ``LoopWatch`` to a loop of the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from lightning_gradwatch import voice
from lightning_gradwatch.anatomy import flat_slices, inspect_model
from lightning_gradwatch.callbacks import console, notes
from lightning_gradwatch.callbacks.acting import Actor
from lightning_gradwatch.callbacks.curing import Curing
from lightning_gradwatch.callbacks.fit import LiveFit, config_of
from lightning_gradwatch.callbacks.guard import guarded, sheltered
from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.callbacks.kept import Kept
from lightning_gradwatch.callbacks.monitored import Monitored
from lightning_gradwatch.callbacks.settings import Settings
from lightning_gradwatch.callbacks.telling import Teller
from lightning_gradwatch.callbacks.wakeful import Wakeful
from lightning_gradwatch.measure.silence import Silence
from lightning_gradwatch.records import Event, Finding, Frame, Kind
from lightning_gradwatch.remedies.rate_scale import RateScale
from lightning_gradwatch.report.report import Report
from lightning_gradwatch.verify.casebook import Casebook


class Watch(Wakeful, Curing, Kept):
    """One watch over one fit after another.

    Args:
        settings: what the user asked for.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.strict = settings, settings.strict
        self.reset()

    def reset(self) -> None:
        """Begin with an empty casebook."""
        super().reset()
        self.is_off = False
        self.actor = Actor(self.settings.policy, RateScale(floor=self.settings.min_lr))
        self._new_casebook()
        self.live: LiveFit | None = None
        self.monitored = Monitored()
        self._chosen = False  # whether the batch at hand is measured, on all ranks alike
        self._moved = False  # whether that batch was measured and moved weights
        self._wanted: Finding | None = None  # what this rank would act on now
        self._skipped = 0  # steps that the AMP scaler skipped before this fit was resumed
        self.healer = self.settings.healer()
        self._treated_at = 0  # the step since which the network is what it is
        self.silence = Silence()  # which units have been dead for how long
        self._owed = False  # whether it was resumed between a chosen batch and the step that it is measured on

    def _new_casebook(self) -> None:
        asked, config = self.settings, config_of(self.settings.told())
        self.casebook = Casebook(asked.name, config, judge=asked.judge(), ignoring=asked.ignoring)
        self.teller = Teller(self.casebook, speaks=self.settings.verbose)

    @property
    def report(self) -> Report:
        """What was found, done and measured so far."""
        return self.casebook.report

    @property
    def measures(self) -> bool:
        """Whether the batch at hand is measured."""
        return self._chosen and not self.is_off

    # --- the moments of a fit -----------------------------------------------------------------------------------------

    def begins(self, host: Host, loggers: Callable[[], Sequence[Any]], here: bool) -> None:
        """Training starts: learn what the network is made of, open the sinks.

        Args:
            host: who trains.
            loggers: gives the loggers; asked only where this process is the one that writes.
            here: whether it is.
        """
        self._chosen = False
        self._join(host)
        self._publish(self.casebook.frames)
        self._open(host, loggers, here)

    @sheltered
    def _join(self, host: Host) -> None:
        self.live = LiveFit(
            host,
            self.settings.schedule,
            self.wakefulness,
            sampled=self.casebook.last_step,
            skipped=self._skipped,
            owed=self._owed,
            begun=self._treated_at,
            scale=self.actor.rates,
            silence=self.silence,
        )
        self.live.previous = self.casebook.last_frame

    @guarded
    def _open(self, host: Host, loggers: Callable[[], Sequence[Any]], here: bool) -> None:
        now = inspect_model(host.model, flat_slices(host.engine, 1))
        if not self.casebook.anatomy.is_build_of(now):  # of a fit that goes on, what counts is how the network began
            self.casebook.anatomy = now
        self._open_teller(loggers, here)

    def batch_begins(self, batch: Any = None) -> None:
        """Decide whether this batch is measured."""
        self._treat()
        self._keep(batch)
        self._choose()
        if self._chosen:
            self._measure()
        self._look_out()

    @sheltered
    def _choose(self) -> None:
        cut_short, self._chosen = self._chosen, False
        if self.live is not None:
            if cut_short:  # the batch before: its step is still to come
                self.live.retract()
            self._chosen = self.live.chooses()

    @sheltered
    def _treat(self) -> None:
        """Keep the rates decayed: a rank whose watch is off must step as the others do.

        Also where the policy is another one than before a resume: a rate that jumps back would be a change unasked.
        """
        if self.live is not None and (self.settings.on_vanishing == "decay_lr" or self.actor.rates.factor != 1):
            for refusal in self.actor.attach(self.live.host):
                self.teller.note(refusal)

    @guarded
    def _measure(self) -> None:
        if self.live is not None:
            self.live.begin(self)

    def backward_begins(self, loss: Any) -> None:
        """Open the ledger.

        Last call to measure this step: a fit's last one, where it has just been asked to stop, or one whose loss has
        just become infinite or NaN.
        """
        self._hear(loss)
        self._choose_late()
        self._open_ledger(loss)

    @guarded
    def _open_ledger(self, loss: Any) -> None:
        if self.live is not None:
            self.live.backward_begins(loss)

    @guarded
    def backward_ends(self) -> None:
        """Take the ledger's hooks away."""
        if self.live is not None:
            self.live.backward_ends()

    def optimizer_begins(self, optimizer: Any) -> None:
        """Scale its rates, read the gradients that this optimizer is about to use."""
        self._rescale(optimizer)
        self._read(optimizer)

    @sheltered
    def _rescale(self, optimizer: Any) -> None:
        self.actor.rates.reapply(optimizer)

    @guarded
    def _read(self, optimizer: Any) -> None:
        if self.live is not None:
            self.live.optimizer_begins(optimizer)

    @guarded
    def optimizer_made(self, optimizer: Any) -> None:
        """See what it stepped with."""
        if self.live is not None:
            self.live.optimizer_made(optimizer)

    def batch_ends(self, batch: int) -> None:
        """Close the frame, judge it, tell, act."""
        self._tell_looks()
        if self.live is None or not self._chosen:
            return
        self._chosen = self._moved = self._suspicious = False
        self._settle()
        try:
            self._judge(batch)
        finally:
            self._meet()
        self._attend()
        self._publish(self.casebook.frames[-1:])
        if self.settings.policy.acts:
            self._wanted = None  # a watch that is off wants nothing, and goes along with the others
            self._want()
            self._act()

    @sheltered
    def _settle(self) -> None:
        if self.live is not None:
            self.live.settle()

    @sheltered
    def _meet(self) -> None:
        if self.live is not None:
            self.live.ranks.settle()

    @guarded
    def _want(self) -> None:
        # One that the AMP scaler skipped, or a rate of 0, decides nothing; what moves no weights may be healed.
        if self.live is not None and (self._moved or self.settings.on_vanishing == "heal"):
            self._wanted = self.actor.wants(self.casebook, self.live.sampled)

    @sheltered
    def _act(self) -> None:
        # Ranks decide together, and one that is missing, its watch off, would hang the others.
        if self.settings.on_vanishing == "heal":
            self._heal()
        elif self.live is not None:
            live = self.live
            self._tell(self.actor.act(live.host, self.casebook, live.sampled, self._wanted, live.agree))

    @guarded
    def _judge(self, batch: int) -> None:
        frame = None if self.live is None else self.live.finish(batch, self.actor.rates.factor)
        if frame is not None and self.live is not None:
            self._moved, changes = frame.moved, self.casebook.take(frame)
            self._suspicious = self.casebook.judge.suspects
            self.teller.frame(frame, changes, self.actor.follow_up(self.casebook), self.live.remarks)

    @guarded
    def _publish(self, frames: Sequence[Frame]) -> None:
        self.monitored.learn(frames, self.casebook.judge.findings)
        if self.live is not None:
            self.live.host.publish(self.monitored.values)

    @guarded
    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self.teller.announce(event.step, [], [event])

    def undo(self) -> None:
        """Take back every change of the learning rates."""
        self._tell(self.actor.undo(self.casebook))

    @guarded
    def ends(self) -> None:
        """Training has ended as planned: draw the last picture, say the last line."""
        self.teller.closing()

    def leaves(self, *, dying: bool = False) -> None:
        """Hooks, references and rates as if the watch had never been here; runs whether the watch is on or off.

        Args:
            dying: the fit ends by an exception of the user's own, which no error of ours may replace.
        """
        live, self.live = self.live, None
        self._part(live)
        failed: list[Exception] = []
        for close in (self.actor.rates.detach, *([live.close] if live else []), self.teller.close):
            try:
                close()
            except Exception as error:  # what comes after it is to be cleaned up too
                failed.append(error)
                self._switch_off("cleaning up", error)
        if live is not None:
            self._skipped, self._owed = live.skips.count, live.owed
        if failed and self.strict and not dying:
            raise failed[0]

    @sheltered
    def _part(self, live: LiveFit | None) -> None:
        if live is not None:
            self.healer.state(live.host.optimizers)
        self.healer.forget()

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _open_teller(self, loggers: Callable[[], Sequence[Any]], here: bool) -> None:
        settings = self.settings
        if here and settings.verbose:
            voice.prepare()
        self.teller = Teller(
            self.casebook,
            speaks=here and settings.verbose,
            hides=Kind.VANISHING if settings.on_vanishing == "ignore" else None,
            picture_every_n_steps=settings.picture_every_n_steps,
            strict=settings.strict,
        )
        if here:
            self.teller.open(loggers())
        if here and settings.record_to is not None:
            self.teller.record_to(settings.record_to)

    def _switch_off(self, stage: str, error: Exception) -> None:
        if self.is_off:  # said once
            return
        self.is_off = True
        self.casebook.note(notes.switched_off(stage, error))
        if self.live is not None:
            with suppress(Exception):  # may be what failed
                self.live.drop()
        console.failed(stage, error)
