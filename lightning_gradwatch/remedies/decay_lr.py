"""Smaller steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import _lightning
from lightning_gradwatch.arguments import number, whole, word
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.optimizer_treatment import OptimizerTreatment

if TYPE_CHECKING:
    from lightning_gradwatch.remedies.surgery.edit import Edit
    from lightning_gradwatch.remedies.surgery.rates import Rates

_STEADIES = "smaller steps steady a fit that jumps about, which is all that they do here."
# Between what people begin with in adaptive optimizers (1e-3) and in plain descent (3e-2).
_MODEST = 1e-2
# Below everything that repairs: it is named for completeness, and to say what it does not do.
_VANISHING = 0.05


class DecayLR(OptimizerTreatment):
    """A smaller learning rate: steadies a fit that explodes or swings, and repairs no path that loses the gradient.

    The rates are multiplied while the optimizer steps, and only then: it holds under every schedule, and schedules,
    checkpoints and your own code meet the rates that they wrote.

    Args:
        factor: what the rates are multiplied by, each time.
        when: "now", once; "stepwise", after every ``every_n_steps`` steps; "plateau", whenever the mean loss of
            ``patience`` batches is not below the best of those before (only in a fit, as a callback); "noisy", when the
            norm of a gradient is not finite or above ten times the median of the last hundred, at most once in
            ``patience`` steps.
        every_n_steps: for "stepwise" alone.
        patience: for "plateau" and "noisy"; None: 100.
        min_lr: a rate is not scaled below it; one that is lower by itself stays as it is.
        where: names of modules: only parameter groups that lie in them as a whole; None: all.
        seed: nothing in here is drawn.

    Raises:
        WrongArgument: an argument breaks its rule, or ``every_n_steps`` and "stepwise" go without one another.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> optimizer = torch.optim.SGD([torch.nn.init.ones_(model.weight)], lr=0.5)
        >>> applied = DecayLR(0.5).apply(model, optimizer)
        >>> model.weight.grad = torch.ones(1, 1)
        >>> optimizer.step()
        >>> model.weight.item(), optimizer.param_groups[0]["lr"]
        (0.75, 0.5)
        >>> applied.undo()
    """

    name: ClassVar[str] = "DecayLR"
    title: ClassVar[str] = "learning-rate decay"
    source: ClassVar[str] = (
        "Bottou, Curtis & Nocedal, Optimization methods for large-scale machine learning (2018), section 4.2"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LEARNING_RATE: Cure(
            fit=0.9, why="smaller steps no longer throw the weights where the slopes are flat."
        ),
        CauseKind.INITIALIZATION: Cure(fit=_VANISHING, why=_STEADIES),
        CauseKind.ACTIVATION: Cure(fit=_VANISHING, why=_STEADIES),
        CauseKind.DEPTH: Cure(fit=_VANISHING, why=_STEADIES),
        CauseKind.RECURRENCE: Cure(fit=_VANISHING, why=_STEADIES),
    }

    safe_unasked: ClassVar[bool] = True
    cost: ClassVar[str] = 'Nothing, but for "noisy": the norm of all gradients, which waits for the device every step.'

    def __init__(
        self,
        factor: float = 0.1,
        *,
        when: str = "now",
        every_n_steps: int | None = None,
        patience: int | None = None,
        min_lr: float = 0.0,
        where: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(where=where, seed=seed)
        number("factor", factor, 1e-30, 1, "a number above 0 and below 1")
        word("when", when, ("now", "stepwise", "plateau", "noisy"))
        if (every_n_steps is not None) != (when == "stepwise"):
            raise WrongArgument("every_n_steps", 'given with when="stepwise", and only then', every_n_steps)
        if every_n_steps is not None:
            whole("every_n_steps", every_n_steps, least=1)
        if patience is not None:
            whole("patience", patience, least=1)
        number("min_lr", min_lr, 0, float("inf"), "a number of at least 0")
        self.factor, self.when, self.every_n_steps = factor, when, every_n_steps
        self.patience, self.min_lr = patience, min_lr
        self._in_a_fit = self._blind = False  # whether a trainer applies it; whether it was told that it sees no loss

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits learning rates that are too high; for a vanishing gradient never before a remedy that repairs it."""
        cause = self.target(finding)
        if cause is None or finding.kind is Kind.STALLED:  # its steps are too small already
            return None
        vanishing = finding.kind is Kind.VANISHING
        fit = min(self.cures[cause.kind].fit, _VANISHING) if vanishing else self.cures[cause.kind].fit
        return Advice(
            cause=cause.kind,
            fit=fit,
            advice=_ADVICE[vanishing],
            reason=f"{self.because(cause)} {_LIMITS[vanishing]}",
        )

    def tailored(self, finding: Finding, anatomy: Anatomy) -> DecayLR:
        """Down to a rate at which any optimizer may begin, where that is further than a tenth."""
        cause = self.target(finding)
        rates = [q.value for q in cause.evidence if q.name == "learning rate"] if cause is not None else []
        if repr(self) != repr(DecayLR()) or not rates or not _MODEST < rates[0] < 1e30:
            return self
        return DecayLR(min(self.factor, _MODEST / rates[0]))

    @property
    def how(self) -> str:
        """How it is done by hand."""
        return f"multiply the rate by {self.factor:g}, in the optimizer and in its schedule."

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """See the loss, for "plateau"."""
        if self.when != "plateau":
            return
        from lightning_gradwatch.remedies.surgery.rates import OnPlateau

        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None:
            self._warn_blind()
            return
        for acts in [one for one in self._running if isinstance(one, OnPlateau)]:
            acts.sees(loss.detach(), lambda value: _lightning.mean_over_ranks(trainer, value))

    def _warn_blind(self) -> None:
        if not self._blind:
            self._blind = True
            _lightning.say(f"{self!r} sees no loss: let training_step return it.", warns=True)

    def _optimizer(self, edit: Edit, optimizer: Any) -> None:
        from lightning_gradwatch.remedies.surgery import at_step

        if self.when == "plateau" and not self._in_a_fit:
            return edit.leave('The loss is seen only in a fit: give it to the Trainer as a callback for "plateau".')
        name, groups = at_step.label(edit, optimizer), at_step.groups_of(edit, optimizer)
        if not groups:
            return edit.leave(f"{name} has no parameter group that lies in {', '.join(edit.where or ())} as a whole.")
        if at_step.start(edit, optimizer, self._rates(edit)):
            edit.change(name, f"{name}: the learning rate is multiplied by {self.factor:g} {self._told()}.")
        return None

    def _rates(self, edit: Edit) -> Rates:
        from lightning_gradwatch.remedies.surgery import rates
        from lightning_gradwatch.remedies.surgery.at_step import within

        rest = {"floor": self.min_lr, "only": within(edit)}
        if self.every_n_steps is not None:
            return rates.Staircase(repr(self), self.factor, self.every_n_steps, **rest)
        if self.when == "now":
            return rates.Rates(repr(self), self.factor, **rest)
        earned = rates.OnPlateau if self.when == "plateau" else rates.OnNoise
        return earned(repr(self), self.factor, self.patience or 100, **rest)

    def _told(self) -> str:
        told = {
            "now": "from now on",
            "stepwise": f"after every {self.every_n_steps} steps",
            "plateau": f"whenever {self.patience or 100} batches bring no lower loss",
            "noisy": "whenever the gradient is ten times as long as usual, or not finite",
        }
        return told[self.when]

    def _treat(self, trainer: Any, module: Any, optimizers: Sequence[Any]) -> None:
        self._in_a_fit, self._blind = True, False
        try:
            super()._treat(trainer, module, optimizers)
        finally:
            self._in_a_fit = False


_ADVICE = {
    True: "Lower the learning rate only to steady the fit; decay does not repair a dead path.",
    False: "Lower the learning rate, or let it decay while the fit runs (a schedule, or decay_lr).",
}
_LIMITS = {
    True: "Of 16 vanished fits that were repeated at a tenth of the rate none recovered.",
    False: "It needs no change of the network and can be taken back.",
}
