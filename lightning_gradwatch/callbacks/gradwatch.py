"""The callback: whether gradients die in a fit, where, why, and what to do."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.callbacks import keeping
from lightning_gradwatch.callbacks.host import TrainerHost
from lightning_gradwatch.callbacks.policy import OnVanishing
from lightning_gradwatch.callbacks.readable import Readable
from lightning_gradwatch.callbacks.settings import Settings
from lightning_gradwatch.callbacks.watch import Watch
from lightning_gradwatch.detect.profiles import Profile
from lightning_gradwatch.remedies.treatment import Treatment

_Bases: Any = _lightning.callback_bases()

# Lightning hangs these bound methods of the module on every callback of a fit, and never takes them back.
_LENT = ("log", "log_dict")


@_lightning.callback_in_both
class GradWatch(Readable, *_Bases):
    """Says when gradients vanish in any Lightning fit, in which layers, why, and what to do about it.

    Measures the gradient ledger on some steps (every one of the first 10, then ever more rarely until every
    ``every_n_steps``), and on the steps after something has happened in between: a gradient or the loss has left its
    own baseline, or a measured step shows a symptom that has to be confirmed.  Changes nothing about the training, and
    never is the reason that a fit dies.

    Args:
        every_n_steps: distance of the measured steps once the dense start is over and while nothing happens; 1
            measures every step.
        on_vanishing: what to do when a vanishing gradient is found: ``"warn"`` says so, ``"ignore"`` only records it,
            ``"stop"`` ends the fit, ``"decay_lr"`` multiplies all learning rates by ``decay_factor``.  Decay steadies a
            fit; it does not repair a dead path, and the report says so.  ``"heal"`` tries the remedies of any alarm on
            copies, gives the fit the best that is proved to help, and takes it back if it turns out to do harm.
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
        ignore: rules and kinds of finding not to hear of, each with the reason, which the report repeats:
            ``{"GW101": "the output gate is meant to saturate"}``; ``"GW101:encoder.*"`` only in layers of these names,
            and a kind whatever its causes: ``"dead_units:experts.*"``.
        profile: what is asked of a fit: ``"gradwatch"``, or ``"sagemaker"`` for the rules of Amazon SageMaker Debugger
            with their names and thresholds.
        budget: of ``"heal"``: what the fit may take in all, in times of the steps that were planned.
        remedies: of ``"heal"``: ``"auto"`` takes those that the diagnosis names; else names of treatments, or
            treatments, of which those are taken.
        seed: of ``"heal"``: of the random numbers of its trials and treatments.

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
        - ``gradwatch/clip_ratio`` (share, 0..1): length of the gradient that clipping left; 1: not clipped.
        - ``gradwatch/learning_rate`` (learning rate): what the first parameter group really stepped with.
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
        ignore: dict[str, str] | None = None,
        profile: Profile = "gradwatch",
        budget: float = 1.3,
        remedies: str | Sequence[str | Treatment] = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__()
        settings = Settings(
            every_n_steps=every_n_steps,
            on_vanishing=on_vanishing,
            decay_factor=decay_factor,
            min_lr=min_lr,
            cooldown_steps=cooldown_steps,
            max_decays=max_decays,
            record_to=record_to,
            picture_every_n_steps=picture_every_n_steps,
            verbose=verbose,
            strict=strict,
            name=name,
            ignore=ignore,
            profile=profile,
            budget=budget,
            remedies=remedies,
            seed=seed,
        )
        self._watch = Watch(settings)
        self._key = ""  # of its state in a checkpoint, once a trainer is known
        self._fitted: tuple[Any, Any] | None = None  # weak references: the trainer and the module of the last fit

    def change(self, settings: Settings) -> None:
        """Ask for something else from the next fit on."""
        self._watch.settings = settings

    @property
    def state_key(self) -> str:
        """Tells the state of several watches apart in a checkpoint."""
        return self._key or keeping.key(self.settings.name, every_n_steps=self.settings.every_n_steps)

    # --- hooks: each moment of a fit is handed on ---------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """A new fit starts with an empty casebook, unless its trainer goes on where it stopped."""
        alike = [one for one in _watches(trainer) if one.settings.name == self.settings.name]
        self._key = keeping.key(self.settings.name, alike.index(self) if self in alike else 0)
        if stage == "fit" and not self._goes_on(trainer, pl_module):
            self._watch.reset()
        self._watch.expects(pl_module)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """A resumed fit goes on with the optimizers that it was given."""
        self._watch.resumes(TrainerHost(trainer, pl_module))

    def _goes_on(self, trainer: Any, pl_module: Any) -> bool:
        """A trainer that fits the same module again counts its steps on, and so does the watch."""
        known = self._fitted is not None and self._fitted[0]() is trainer and self._fitted[1]() is pl_module
        return known and trainer.global_step > 0 and not self.is_off

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """What counts is what the checkpoint says; the state of a watch that was renamed is found too."""
        if self._watch.live is None:
            self._watch.reset()
        keeping.adopt(checkpoint["callbacks"], self.state_key, [one.state_key for one in _watches(trainer)])

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Learn what the network is made of; open the sinks."""
        self._fitted = weakref.ref(trainer), weakref.ref(pl_module)
        self._watch.begins(TrainerHost(trainer, pl_module), lambda: trainer.loggers, trainer.is_global_zero)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Decide whether this batch is measured."""
        self._watch.batch_begins(batch)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """Open the ledger."""
        self._watch.backward_begins(loss)

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        """Take the ledger's hooks away."""
        self._watch.backward_ends()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Read the gradients: unscaled and not yet clipped."""
        self._watch.optimizer_begins(optimizer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Close the frame, judge it, tell, act."""
        self._watch.batch_ends(batch_idx)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Draw the last picture, say the last line."""
        self._watch.ends()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The fit dies: leave nothing behind, keep the report."""
        self._leave(dying=True)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Leave nothing behind."""
        self._leave()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave nothing behind."""
        self._watch.expects_no_more(pl_module)
        self._leave()

    def state_dict(self) -> dict[str, Any]:
        """One JSON text: nothing that ``weights_only=True`` could refuse."""
        return self._watch.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was written; a state that cannot be read is said once and ignored."""
        self._watch.restore(state_dict)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles hold nothing of the fit that runs."""
        own = {name: value for name, value in self.__dict__.items() if name not in _LENT}
        return {**own, "_fitted": None}

    def _network(self) -> Any:
        return None if self._fitted is None else self._fitted[1]()

    def _leave(self, *, dying: bool = False) -> None:
        for name in _LENT:
            self.__dict__.pop(name, None)
        self._watch.leaves(dying=dying)


def _watches(trainer: Any) -> list[GradWatch]:
    return [one for one in trainer.callbacks if isinstance(one, GradWatch)]
