"""An optimizer that gives every weight its own step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import _lightning
from lightning_gradwatch.arguments import number, word
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.optimizer_treatment import OptimizerTreatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.edit import Edit

_STEPS = "it divides each weight's step by the size of its own gradients, so that small ones still move it."


_CLASSES = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}
# What the words of another optimizer are in the user's source.
_OTHERS = {name: "|".join(sorted(set(_CLASSES.values()) - {name})) for name in _CLASSES.values()}
_FIRST = r"([^,()]*\([^()]*\)|[^,()]+)"  # the parameters, the first argument


class SwitchOptimizer(OptimizerTreatment):
    """Adam with a decaying learning rate: helps weights that still get a true, if small, gradient.

    The optimizer of the running fit becomes the other one in place: parameter groups, ratios of their rates, weight
    decay, and schedules stay.  Under a schedule its rates are multiplied by a factor while the optimizer steps, so that
    the schedule keeps its shape and its own numbers; without one the rates themselves are exchanged.

    Args:
        to: "adam", "adamw", "rmsprop", or "sgd" (with a momentum of 0.9).
        lr: of the group with the largest rate, at the top of its schedule; None: 0.001, 0.01 for "sgd", and from one
            adaptive optimizer to another as it is.
        weight_decay: None: as it is.  The number of AdamW does not mean what that of the others does.
        where: names of modules: only optimizers all of whose parameters lie in them; None: all.
        seed: nothing in here is drawn.

    Raises:
        WrongArgument: ``to`` is none of these, or a number is below 0 (``lr``: not above 0).

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.5, weight_decay=1e-4)
        >>> print(SwitchOptimizer().apply(model, optimizer))
        SwitchOptimizer():
          SGD is Adam now, with a learning rate of 0.001 and a weight decay of 0.0001.
        >>> type(optimizer).__name__
        'Adam'
    """

    name: ClassVar[str] = "SwitchOptimizer"
    title: ClassVar[str] = "Adam with a decaying learning rate"
    source: ClassVar[str] = "Kingma & Ba, Adam: a method for stochastic optimization (2015), algorithm 1 and section 4"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LEARNING_RATE: Cure(
            fit=0.6, why="it makes the size of a step independent of the size of the gradient."
        ),
        CauseKind.INITIALIZATION: Cure(fit=0.3, why=_STEPS),
        CauseKind.ACTIVATION: Cure(fit=0.15, why=_STEPS),
        CauseKind.DEPTH: Cure(fit=0.15, why=_STEPS),
        CauseKind.RECURRENCE: Cure(fit=0.15, why=_STEPS),
    }

    cost: ClassVar[str] = "Adam keeps two numbers more for every parameter; a step takes a little longer."

    def __init__(
        self,
        to: str = "adam",
        *,
        lr: float | None = None,
        weight_decay: float | None = None,
        where: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(where=where, seed=seed)
        word("to", to, _CLASSES)
        if lr is not None:
            number("lr", lr, 1e-30, float("inf"), "a number above 0, or None")
        if weight_decay is not None:
            number("weight_decay", weight_decay, 0, float("inf"), "a number of at least 0, or None")
        self.to, self.lr, self.weight_decay = to, lr, weight_decay

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits beside another remedy; alone it does not repair a path that loses the gradient."""
        cause = self.target(finding)
        if cause is None:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Use torch.optim.Adam with a decaying rate (CosineAnnealingLR), beside another remedy.",
            reason=f"{self.because(cause)} {_limits(finding)}",
        )

    @property
    def how(self) -> str:
        """How it is done by hand."""
        return f"make torch.optim.{_CLASSES[self.to]} in configure_optimizers{self._rate(' with a rate of {}')}."

    def _rate(self, told: str) -> str:
        known = self.lr or {"sgd": 0.01}.get(self.to, 0.001)
        return told.format(f"{known:g}")

    def rewrites(self) -> Sequence[tuple[str, str]]:
        """The line that makes the optimizer, with the weight decay that it has."""
        kind = _CLASSES[self.to]
        begins, made = rf"\b(?:{_OTHERS[kind]})\({_FIRST}", rf"{kind}(\1, lr={self._rate('{}')}"
        decay = rf", weight_decay={self.weight_decay:g}" if self.weight_decay is not None else r", \2"
        return [
            (rf"{begins},[^()]*?(weight_decay=[^,()]+)[^()]*\)", f"{made}{decay})"),
            (rf"{begins}(?:,[^()]*)?\)", f"{made}{decay if self.weight_decay is not None else ''})"),
        ]

    def snippet(self, model: nn.Module) -> str:
        """The line of ``configure_optimizers``."""
        decay = "" if self.weight_decay is None else f", weight_decay={self.weight_decay:g}"
        return (
            "def configure_optimizers(self):\n"
            f"    return torch.optim.{_CLASSES[self.to]}(self.parameters(), lr={self._rate('{}')}{decay})"
        )

    def _optimizer(self, edit: Edit, optimizer: Any) -> None:
        from lightning_gradwatch.remedies.surgery import at_step, switching
        from lightning_gradwatch.remedies.surgery.rates import Rates

        name = at_step.label(edit, optimizer)
        if len(at_step.groups_of(edit, optimizer)) < len(optimizer.param_groups):
            return edit.leave(f"{name} also moves parameters elsewhere than in {', '.join(edit.where or ())}.")
        if why := switching.hindrance(optimizer, edit.model, self.to):
            return edit.leave(why)
        factor, scheduled = switching.factor_for(optimizer, self.to, self.lr), switching.is_scheduled(optimizer)
        switching.turn(optimizer, self.to, self.weight_decay)
        if scheduled and factor != 1:
            at_step.start(edit, optimizer, Rates(repr(self), factor))
        else:
            switching.set_rates(optimizer, factor)
        edit.change(name, _told(name, optimizer, factor if scheduled else None))
        return None

    def _treat(self, trainer: Any, module: Any, optimizers: Sequence[Any]) -> None:
        super()._treat(trainer, module, optimizers)
        _lightning.rename_wrappers(trainer)


def _told(name: str, optimizer: Any, factor: float | None) -> str:
    """What became of it; a factor of None: its rates are its own."""
    kind, group = type(optimizer).__name__, max(optimizer.param_groups, key=lambda one: float(one["lr"]))
    rate = f"a learning rate of {float(group['lr']):g}"
    if factor is not None:
        rate = f"the rates of its schedule times {factor:g}" if factor != 1 else "the rates of its schedule"
    told = f"{name} is {kind} now, with {rate} and a weight decay of {group['weight_decay']:g}."
    if group["weight_decay"] and "AdamW" in (kind, name.partition(" ")[0]):
        told += " AdamW's decay shrinks the weights by itself, the others' is a part of the gradient: choose it anew."
    return told


def _limits(finding: Finding) -> str:
    if finding.kind is not Kind.VANISHING:
        return "The decay lets it settle where steps of full size would overshoot."
    return (
        "It enlarges what arrives and brings nothing back that was lost on the way: gradients near its eps of 1e-8, or "
        "drowned in noise, stay useless."
    )
