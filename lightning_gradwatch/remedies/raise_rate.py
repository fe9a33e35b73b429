"""Larger steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch.arguments import number
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.optimizer_treatment import OptimizerTreatment

if TYPE_CHECKING:
    from lightning_gradwatch.remedies.surgery.edit import Edit

_EPS = "GW603"
_MISSING = "rate below an ordinary one"  # decades, of GW602
_GRADIENT = "gradient in the middle parameter"  # of GW603


class RaiseRate(OptimizerTreatment):
    """A higher learning rate, or a smaller eps, for a fit that does not move.

    Args:
        factor: what the rates are multiplied by, under every schedule; 1: they stay.
        eps: of Adam and its kin; None: it stays.
        where: names of modules: only parameter groups that lie in them as a whole; None: all.
        seed: nothing in here is drawn.

    Raises:
        WrongArgument: ``factor`` is not a number of at least 1, or ``eps`` not one above 0.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> optimizer = torch.optim.SGD([torch.nn.init.ones_(model.weight)], lr=0.125)
        >>> applied = RaiseRate(2.0).apply(model, optimizer)
        >>> model.weight.grad = torch.ones(1, 1)
        >>> optimizer.step()
        >>> model.weight.item(), optimizer.param_groups[0]["lr"]
        (0.75, 0.125)
        >>> applied.undo()
    """

    name: ClassVar[str] = "RaiseRate"
    title: ClassVar[str] = "a higher learning rate"
    source: ClassVar[str] = "Smith, Cyclical learning rates for training neural networks (2017), section 3.3"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LEARNING_RATE: Cure(fit=0.95, why="updates are in proportion to the rate, and these are too small."),
    }

    cost: ClassVar[str] = "Nothing."

    def __init__(
        self, factor: float = 10.0, *, eps: float | None = None, where: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        super().__init__(where=where, seed=seed)
        number("factor", factor, 1, float("inf"), "a number of at least 1")
        if eps is not None:
            number("eps", eps, 1e-300, float("inf"), "a number above 0, or None")
        self.factor, self.eps = factor, eps

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits fits that stall, unless it is weight decay that holds them."""
        cause = self.target(finding)
        if cause is None or finding.kind is not Kind.STALLED or cause.code == "GW604":
            return None
        eps = cause.code == _EPS
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="a smaller eps" if eps else self.title,
            advice="Give the optimizer a smaller eps (1e-12 in float32)." if eps else _RAISE,
            reason=f"{self.because(cause)} Go by steps of ten and watch gradwatch/norm: above some rate it explodes.",
        )

    def tailored(self, finding: Finding, anatomy: Anatomy) -> RaiseRate:
        """A smaller eps where that is what holds the weights; else as much as the rate is below an ordinary one."""
        cause = self.target(finding)
        if cause is None or self.eps is not None:
            return self
        if cause.code == _EPS:
            gradients = [q.value for q in cause.evidence if q.name == _GRADIENT and q.value > 1e-30]
            eps = min([1e-12, *(1e-4 * size for size in gradients)])
            return RaiseRate(1.0, eps=eps, where=self.where, seed=self.seed)
        missing = [q.value for q in cause.evidence if q.name == _MISSING and 1 < q.value < 30]
        return RaiseRate(10.0 ** missing[0], where=self.where, seed=self.seed) if missing else self

    @property
    def how(self) -> str:
        """How it is done by hand."""
        rate = f"multiply the rate by {self.factor:g}, in the optimizer and in its schedule"
        if self.eps is None:
            return f"{rate}."
        eps = f"give the optimizer eps={self.eps:g}"
        return f"{eps}." if self.factor == 1 else f"{rate}, and {eps}."

    def _optimizer(self, edit: Edit, optimizer: Any) -> None:
        from lightning_gradwatch.remedies.surgery import at_step
        from lightning_gradwatch.remedies.surgery.rates import Rates

        name, groups = at_step.label(edit, optimizer), at_step.groups_of(edit, optimizer)
        if not groups:
            return edit.leave(f"{name} has no parameter group that lies in {', '.join(edit.where or ())} as a whole.")
        raises = Rates(repr(self), self.factor, only=at_step.within(edit))
        if self.factor != 1 and at_step.start(edit, optimizer, raises):
            edit.change(name, f"{name}: the learning rate is multiplied by {self.factor:g} from now on.")
        if self.eps is not None:
            self._lower_eps(edit, name, [group for group in groups if group.get("eps", 0.0) > self.eps])
        return None

    def _lower_eps(self, edit: Edit, name: str, groups: Sequence[dict[str, Any]]) -> None:
        if not groups:
            edit.leave(f"{name} has no eps above {self.eps:g}.")
        for group in groups:
            edit.change(name, f"{name}: eps is {self.eps:g} instead of {group['eps']:g}.")
            group["eps"] = self.eps


_RAISE = "Raise the rate by a factor of ten until the loss moves, or ask a rate finder."
