"""The callback: whether gradients die in a fit, where, why, and what to do."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.anatomy import inspect_model
from lightning_gradwatch.callbacks import arguments, console
from lightning_gradwatch.callbacks.casebook import Casebook
from lightning_gradwatch.callbacks.fit import LiveFit, config_of, is_due, remarks
from lightning_gradwatch.callbacks.guard import guarded
from lightning_gradwatch.callbacks.policy import OnVanishing, Policy
from lightning_gradwatch.detect import Change
from lightning_gradwatch.errors import MissingExtra, UnreadableRecord
from lightning_gradwatch.measure.schedule import Schedule
from lightning_gradwatch.records import Event, Kind
from lightning_gradwatch.records.codec import FORMAT, dumps, loads
from lightning_gradwatch.remedies.rate_scale import RateScale
from lightning_gradwatch.report.report import Report
from lightning_gradwatch.sinks import open_sinks
from lightning_gradwatch.verify import follow_up

_Bases: Any = _lightning.callback_bases()


class GradWatch(*_Bases):
    """Says when gradients vanish in any Lightning fit, in which layers, why, and what to do about it.

    Measures the gradient ledger on some steps (every one of the first 10, then ever more rarely until every
    ``every_n_steps``), changes nothing about the training, and never is the reason that a fit dies.

    Args:
        every_n_steps: distance of the measured steps once the dense start is over; 1 measures every step.
        on_vanishing: what to do when a vanishing gradient is found: ``"warn"`` says so, ``"ignore"`` only records it,
            ``"stop"`` ends the fit, ``"decay_lr"`` multiplies all learning rates by ``decay_factor``.  Decay steadies a
            fit; it does not repair a dead path, and the report says so.
        decay_factor: what ``"decay_lr"`` multiplies the learning rates by, each time.
        min_lr: no learning rate is brought below this.
        cooldown_steps: least number of steps between two decays.
        max_decays: most decays in one fit.
        picture_every_n_steps: least number of steps between two pictures of the flow in TensorBoard (needs
            matplotlib); there is one at the end in any case; 0 draws none at all.
        verbose: whether to speak on the console.
        strict: raise errors of the watch itself instead of reporting them once and switching the watch off.
        name: tells several watches of one trainer apart, in checkpoints and reports.

    Raises:
        WrongArgument: an argument breaks its rule; the message names the argument, the rule and the value.

    Example:
        >>> watch = GradWatch(every_n_steps=20)
        >>> watch.report.findings
        ()
    """

    def __init__(
        self,
        every_n_steps: int = 50,
        *,
        on_vanishing: OnVanishing = "warn",
        decay_factor: float = 0.5,
        min_lr: float = 1e-7,
        cooldown_steps: int = 200,
        max_decays: int = 3,
        picture_every_n_steps: int = 1000,
        verbose: bool = True,
        strict: bool = False,
        name: str = "gradwatch",
    ) -> None:
        super().__init__()
        arguments.number("min_lr", min_lr, 0.0, float("inf"), "a finite number of at least 0")
        arguments.whole("picture_every_n_steps", picture_every_n_steps, 0)
        arguments.switch("verbose", verbose)
        arguments.switch("strict", strict)
        arguments.filled("name", name)
        self.schedule = Schedule(every_n_steps)
        self.policy = Policy(on_vanishing, decay_factor, cooldown_steps, max_decays)
        self.min_lr, self.picture_every_n_steps = min_lr, picture_every_n_steps
        self.verbose, self.strict, self.name = verbose, strict, name
        self._reset()

    def _reset(self) -> None:
        self.is_off = False
        self._casebook = Casebook(name=self.name, config=config_of(self._settings()))
        self._rates = RateScale(floor=self.min_lr)
        self._live: LiveFit | None = None
        self._pictured = -1

    def _settings(self) -> dict[str, Any]:
        return {
            "every_n_steps": self.schedule.every_n_steps,
            "on_vanishing": self.policy.on_vanishing,
            "decay_factor": self.policy.decay_factor,
            "min_lr": self.min_lr,
            "cooldown_steps": self.policy.cooldown_steps,
            "max_decays": self.policy.max_decays,
        }

    # --- what users read ----------------------------------------------------------------------------------------------

    @property
    def report(self) -> Report:
        """What was found, done and measured so far; at any time, also before and after a fit."""
        return self._casebook.report

    def plot(self, ax: Any = None) -> tuple[Any, Any]:
        """Gradient flow over depth and time, the sick stretch marked: ``fig, ax``, as torchmetrics plots.

        Raises:
            MissingExtra: matplotlib is not installed.
        """
        return self.report.plot(ax)

    @property
    def state_key(self) -> str:
        """Tells the state of several watches apart in a checkpoint."""
        return f"GradWatch{{'name': {self.name!r}, 'every_n_steps': {self.schedule.every_n_steps}}}"

    # --- hooks: guard, gather, call a verb ----------------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """A new fit starts with an empty casebook."""
        if stage == "fit":
            self._reset()

    @guarded
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Learn what the network is made of; open the sinks."""
        if self.verbose and trainer.is_global_zero:
            console.prepare()
        self._casebook.anatomy = inspect_model(pl_module)
        loggers = trainer.loggers if trainer.is_global_zero else []
        self._live = LiveFit(trainer, pl_module, open_sinks(loggers, self._casebook.anatomy, self._casebook.config))
        if self.policy.on_vanishing == "decay_lr":
            self._rates.attach(_lightning.optimizers_of(trainer))

    @guarded
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Decide whether this batch is measured."""
        if self._live is not None and is_due(trainer, pl_module, self.schedule, self._live.measured):
            self._live.begin()

    @guarded
    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """Open the ledger."""
        if self._live is not None:
            self._live.backward_begins(loss)

    @guarded
    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        """Take the ledger's hooks away."""
        if self._live is not None:
            self._live.backward_ends()

    @guarded
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Read the gradients: unscaled and not yet clipped."""
        self._rates.reapply(optimizer)
        if self._live is not None:
            self._live.optimizer_steps(optimizer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Close the frame, judge it, tell, act."""
        due = self._live is not None and self._live.is_measuring
        self._judge(trainer, batch_idx)
        # All ranks of a sampled step come here, also one whose watch failed: they decide together or hang.
        if due and self.policy.acts:
            self._act(trainer, _lightning.any_rank(trainer, self._wanted(trainer) is not None))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Draw the last picture, say the last line, leave nothing behind."""
        self._finale(trainer)
        self._leave(trainer)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The fit dies: leave nothing behind, keep the report."""
        self._leave(trainer)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave nothing behind."""
        self._leave(trainer)

    def state_dict(self) -> dict[str, Any]:
        """One JSON text: nothing that ``weights_only=True`` could refuse."""
        state = {**self._casebook.state(), "rate_scale": self._rates.factor, "measured": self._measured}
        return {"format": FORMAT, "gradwatch": dumps(state)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was written; a state that cannot be read is said once and ignored."""
        try:
            if state_dict.get("format") != FORMAT:
                raise UnreadableRecord(f"format {state_dict.get('format')!r} is not {FORMAT}")
            state = loads(state_dict["gradwatch"], "checkpoint")
            self._casebook.restore(state)
            self._rates.scale(float(state["rate_scale"]) / self._rates.factor)
        except (KeyError, TypeError, ValueError) as error:
            self._reset()
            self._say(f"the checkpoint's record of an earlier watch is ignored: {error}")

    def __getstate__(self) -> dict[str, Any]:
        """Without the running fit: copies and pickles hold no trainer, tensor or open file."""
        return {**self.__dict__, "_live": None}

    # --- verbs --------------------------------------------------------------------------------------------------------

    @property
    def _measured(self) -> int:
        return self._casebook.frames[-1].step if self._casebook.frames else -1

    @guarded
    def _judge(self, trainer: Any, batch_idx: int) -> None:
        live = self._live
        if live is None or not live.is_measuring:
            return
        frame = live.finish(batch_idx, self._rates.factor)
        changes = self._casebook.take(frame)
        for remark in remarks(frame):
            self._say(remark)
        followed = self._follow_up()
        for sink in live.sinks:
            sink.write(frame, self._casebook.judge.findings)
        self._announce(trainer, frame.step, changes, followed)
        self._picture(frame.step, any(change.what == "opened" for change in changes))

    def _announce(self, trainer: Any, step: int, changes: list[Change], events: list[Event]) -> None:
        told = [c for c in changes if c.finding.kind is not Kind.VANISHING or self.policy.on_vanishing != "ignore"]
        if self.verbose and trainer.is_global_zero:
            for change in told:
                console.change(change)
            for event in events:
                console.event(event)
        if (changes or events) and self._live is not None:
            for sink in self._live.sinks:
                sink.announce(step, [change.finding for change in changes], events, self._casebook.notes)

    def _follow_up(self) -> list[Event]:
        """Ask of every action whether it helped, once enough steps have passed."""
        changed = []
        for i, event in enumerate(self._casebook.events):
            known = {finding.id: finding for finding in self._casebook.judge.findings}
            followed = None if event.effect else follow_up(event, known.get(event.finding), self._casebook.frames, 50)
            if followed is not None:
                self._casebook.events[i] = followed
                changed.append(followed)
        return changed

    def _wanted(self, trainer: Any) -> Any:
        return self.policy.action(self._measured, self._casebook.judge.findings, self._casebook.events)

    @guarded
    def _act(self, trainer: Any, agreed: bool) -> None:
        if not agreed:
            return
        finding = self._wanted(trainer)
        event = self._stop(trainer, finding) if self.policy.on_vanishing == "stop" else self._decay(finding)
        if event is not None:
            self._casebook.events.append(event)
            self._announce(trainer, self._measured, [], [event])

    def _stop(self, trainer: Any, finding: Any) -> Event:
        trainer.should_stop = True
        reason = finding.summary if finding is not None else "another rank found a vanishing gradient"
        return Event(step=self._measured, action="stop", finding=finding.id if finding else "", reason=reason)

    def _decay(self, finding: Any) -> Event | None:
        old, new = self._rates.scale(self.policy.decay_factor)
        if old == new:  # all of them at min_lr already
            return None
        reason = finding.summary if finding is not None else "another rank found a vanishing gradient"
        return Event(
            step=self._measured,
            action="decay_lr",
            finding=finding.id if finding else "",
            reason=f"{reason}; decay steadies the fit but does not repair a dead path",
            old=tuple(old),
            new=tuple(new),
        )

    def _picture(self, step: int, now: bool) -> None:
        live = self._live
        due = self.picture_every_n_steps and (now or step - max(0, self._pictured) >= self.picture_every_n_steps)
        if live is None or not live.sinks or not due or step == self._pictured:
            return
        self._pictured = step
        from lightning_gradwatch.report.figures import flow_image

        try:
            image = flow_image(self.report)
        except MissingExtra as error:
            self._say(str(error))
            return
        for sink in live.sinks:
            sink.picture(step, image)

    @guarded
    def _finale(self, trainer: Any) -> None:
        if self._casebook.frames:
            self._picture(self._measured, now=True)
        if self.verbose and trainer.is_global_zero:
            console.closing(self._casebook)

    def _leave(self, trainer: Any) -> None:
        """Hooks, references and rates as if the watch had never been here; runs whether the watch is on or off."""
        live, self._live = self._live, None
        for let_go in (self._rates.detach, *([live.close] if live is not None else [])):
            try:
                let_go()
            except Exception as error:  # an error in on_exception would replace the user's own
                console.failed("cleaning up", error)

    def _say(self, sentence: str) -> None:
        if self._casebook.note(sentence) and self.verbose:
            console.note(sentence)

    def _switch_off(self, stage: str, error: Exception) -> None:
        self.is_off = True
        self._casebook.note(f"the watch failed in {stage} and switched itself off: {type(error).__name__}: {error}")
        if self._live is not None:
            self._live.drop()
        console.failed(stage, error)
