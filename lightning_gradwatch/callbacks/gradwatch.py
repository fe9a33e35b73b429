"""The callback: whether gradients die in a fit, where, why, and what to do."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.anatomy import inspect_model
from lightning_gradwatch.callbacks import arguments, console, notes
from lightning_gradwatch.callbacks.acting import Actor
from lightning_gradwatch.callbacks.casebook import Casebook
from lightning_gradwatch.callbacks.fit import LiveFit, config_of, remarks
from lightning_gradwatch.callbacks.guard import guarded
from lightning_gradwatch.callbacks.policy import OnVanishing, Policy
from lightning_gradwatch.callbacks.telling import Teller
from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.measure.schedule import Schedule
from lightning_gradwatch.records import Event, Kind
from lightning_gradwatch.records.codec import FORMAT, dumps, loads
from lightning_gradwatch.remedies.rate_scale import RateScale
from lightning_gradwatch.report.report import Report
from lightning_gradwatch.sinks import open_sinks

_Bases: Any = _lightning.callback_bases()

# Lightning hangs these bound methods of the module on every callback of a fit, and never takes them back.
_LENT = ("log", "log_dict")


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
        record_to: a file that takes every record as a line of JSON while the fit runs (``gradwatch report FILE`` reads
            it, also after a crash); a resumed fit goes on in it.
        picture_every_n_steps: least number of steps between two pictures of the flow in TensorBoard (needs
            matplotlib); there is one at the end in any case; 0 draws none at all.
        verbose: whether to speak on the console.
        strict: raise errors of the watch itself instead of reporting them once and switching the watch off.
        name: tells several watches of one trainer apart, in checkpoints and reports.

    Raises:
        WrongArgument: an argument breaks its rule; the message names the argument, the rule and the value.

    Logs, on every measured step, whatever the depth of the network:
        - ``gradwatch/loss`` (loss): the loss that the measured gradient belongs to.
        - ``gradwatch/gradient_norm`` (L2 norm): the whole gradient, before clipping.
        - ``gradwatch/decades_lost`` (decades (powers of 10)): lost between the head and the deepest layer.
        - ``gradwatch/decades_lost_in_worst_segment`` (decades (powers of 10)): of it, in the single worst stretch.
        - ``gradwatch/activation_slope`` (share, 0..1): of the flattest activation, beside its largest possible slope.
        - ``gradwatch/dead_units`` (share, 0..1): zero for the whole batch, in the layer that has most of them.
        - ``gradwatch/update_ratio_smallest`` (||dw||/||w||): of the parameter that moves least.
        - ``gradwatch/update_ratio_median`` (||dw||/||w||): of the parameter in the middle.
        - ``gradwatch/learning_rate_scale`` (factor): what ``"decay_lr"`` multiplies the rates by.
        - ``gradwatch/open_findings`` (count): alarms that are open.

    Example:
        >>> watch = GradWatch(every_n_steps=20)
        >>> watch.report.findings
        ()
    """

    def __init__(
        self,
        every_n_steps: int = 100,
        *,
        on_vanishing: OnVanishing = "warn",
        decay_factor: float = 0.5,
        min_lr: float = 1e-7,
        cooldown_steps: int = 200,
        max_decays: int = 3,
        record_to: str | None = None,
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
        if record_to is not None:
            arguments.filled("record_to", record_to)
        self.schedule = Schedule(every_n_steps)
        self.policy = Policy(on_vanishing, decay_factor, cooldown_steps, max_decays)
        self.min_lr, self.record_to, self.picture_every_n_steps = min_lr, record_to, picture_every_n_steps
        self.verbose, self.strict, self.name = verbose, strict, name
        self._reset()

    def _reset(self) -> None:
        self.is_off = False
        self._casebook = Casebook(name=self.name, config=config_of(self._settings()))
        self._actor = Actor(self.policy, RateScale(floor=self.min_lr))
        self._teller = Teller(self._casebook, speaks=self.verbose)
        self._live: LiveFit | None = None
        self._chosen = False  # whether the batch at hand is measured, on all ranks alike

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

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Learn what the network is made of; open the sinks."""
        self._live, self._chosen = LiveFit(trainer, pl_module, self._casebook.last_step), False
        self._open(trainer, pl_module)

    @guarded
    def _open(self, trainer: Any, pl_module: Any) -> None:
        self._casebook.anatomy = inspect_model(pl_module)
        self._teller = self._make_teller(trainer)
        if self.policy.on_vanishing == "decay_lr":
            self._actor.rates.attach(_lightning.optimizers_of(trainer))

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Decide whether this batch is measured."""
        self._chosen = self._live is not None and self._live.chooses(self.schedule)
        if self._chosen:
            self._begin()

    @guarded
    def _begin(self) -> None:
        if self._live is not None:
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
        self._actor.rates.reapply(optimizer)
        if self._live is not None:
            self._live.optimizer_steps(optimizer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Close the frame, judge it, tell, act."""
        if self._live is None or not self._chosen:
            return
        self._judge(batch_idx)
        # Outside the guard: ranks decide together, and one that is missing, its watch off, would hang the others.
        if self.policy.acts:
            self._tell(self._actor.act(trainer, self._casebook, self._live.sampled))

    @guarded
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Draw the last picture, say the last line."""
        self._teller.closing()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The fit dies: leave nothing behind, keep the report."""
        self._leave()

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Leave nothing behind."""
        self._leave()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave nothing behind."""
        self._leave()

    def state_dict(self) -> dict[str, Any]:
        """One JSON text: nothing that ``weights_only=True`` could refuse."""
        state = {**self._casebook.state(), "rate_scale": self._actor.rates.factor}
        return {"format": FORMAT, "gradwatch": dumps(state)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was written; a state that cannot be read is said once and ignored."""
        try:
            if state_dict.get("format") != FORMAT:
                raise UnreadableRecord(f"its format is {state_dict.get('format')!r}, this version reads {FORMAT}.")
            state = loads(state_dict["gradwatch"], "checkpoint")
            self._casebook.restore(state)
            self._actor.rates.scale(float(state["rate_scale"]) / self._actor.rates.factor)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._reset()
            self._teller.note(notes.state_ignored(error))

    def __getstate__(self) -> dict[str, Any]:
        """Without the running fit: copies and pickles hold no trainer, tensor or open file."""
        own = {name: value for name, value in self.__dict__.items() if name not in _LENT}
        return {**own, "_live": None, "_teller": Teller(self._casebook, speaks=self.verbose)}

    # --- verbs --------------------------------------------------------------------------------------------------------

    def _make_teller(self, trainer: Any) -> Teller:
        here = trainer.is_global_zero
        if here and self.verbose:
            console.prepare()
        teller = Teller(
            self._casebook,
            open_sinks(trainer.loggers, self._casebook.anatomy, self._casebook.config) if here else [],
            speaks=here and self.verbose,
            hides=Kind.VANISHING if self.policy.on_vanishing == "ignore" else None,
            picture_every_n_steps=self.picture_every_n_steps,
        )
        if here and self.record_to is not None:
            teller.record_to(self.record_to)
        return teller

    @guarded
    def _judge(self, batch_idx: int) -> None:
        if self._live is None:
            return
        frame = self._live.finish(batch_idx, self._actor.rates.factor)
        changes = self._casebook.take(frame)
        self._teller.frame(frame, changes, self._actor.follow_up(self._casebook), remarks(frame))

    @guarded
    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._teller.announce(event.step, [], [event])

    def _leave(self) -> None:
        """Hooks, references and rates as if the watch had never been here; runs whether the watch is on or off."""
        live, self._live = self._live, None
        for name in _LENT:
            self.__dict__.pop(name, None)
        for close in (self._actor.rates.detach, *([live.drop] if live else []), self._teller.close):
            try:
                close()
            except Exception as error:  # an error in on_exception would replace the user's own
                console.failed("cleaning up", error)

    def _switch_off(self, stage: str, error: Exception) -> None:
        self.is_off = True
        self._casebook.note(notes.switched_off(stage, error))
        if self._live is not None:
            self._live.drop()
        console.failed(stage, error)
