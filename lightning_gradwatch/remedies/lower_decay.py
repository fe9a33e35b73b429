"""Less pull towards zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch.arguments import number
from lightning_gradwatch.records import Anatomy, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.optimizer_treatment import OptimizerTreatment

if TYPE_CHECKING:
    from lightning_gradwatch.remedies.surgery.edit import Edit

_DECAY = "GW604"


class LowerDecay(OptimizerTreatment):
    """A smaller weight decay, for weights that it has shrunk to nothing.

    Args:
        to: the weight decay of all groups that have a larger one.
        where: names of modules: only parameter groups that lie in them as a whole; None: all.
        seed: nothing in here is drawn.

    Raises:
        WrongArgument: ``to`` is not a number of at least 0.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.5)
        >>> print(LowerDecay(0.01).apply(model, optimizer))
        LowerDecay(0.01):
          AdamW: weight decay is 0.01 instead of 0.5.
        >>> optimizer.param_groups[0]["weight_decay"]
        0.01
    """

    name: ClassVar[str] = "LowerDecay"
    title: ClassVar[str] = "a smaller weight decay"
    source: ClassVar[str] = "Loshchilov & Hutter, Decoupled weight decay regularization (2019), section 2"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.LEARNING_RATE: Cure(
            fit=0.95, why="decay pulls the weights to zero faster than the gradient can push."
        ),
    }

    cost: ClassVar[str] = "Nothing."

    def __init__(self, to: float = 0.0, *, where: Sequence[str] | None = None, seed: int = 0) -> None:
        super().__init__(where=where, seed=seed)
        number("to", to, 0, float("inf"), "a number of at least 0")
        self.to = to

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits only where weight decay is to blame."""
        cause = next((one for one in finding.causes if one.code == _DECAY and one.kind in self.cures), None)
        if cause is None:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Lower weight_decay (1e-4 for SGD, 1e-2 for AdamW), and draw the weights anew.",
            reason=f"{self.because(cause)} Weights that have faded do not come back by themselves.",
        )

    @property
    def how(self) -> str:
        """How it is done by hand."""
        return f"give the optimizer weight_decay={self.to:g}, and draw weights anew that have faded."

    def rewrites(self) -> Sequence[tuple[str, str]]:
        """Where the optimizer is made."""
        return [(r"\bweight_decay\s*=\s*[0-9][0-9.eE_-]*", f"weight_decay={self.to:g}")]

    def _optimizer(self, edit: Edit, optimizer: Any) -> None:
        from lightning_gradwatch.remedies.surgery import at_step

        name = at_step.label(edit, optimizer)
        groups = [group for group in at_step.groups_of(edit, optimizer) if group.get("weight_decay", 0) > self.to]
        if not groups:
            edit.leave(
                f"{name} has no weight decay above {self.to:g}"
                + (f" in {', '.join(edit.where)}." if edit.where else ".")
            )
        for group in groups:
            edit.change(name, f"{name}: weight decay is {self.to:g} instead of {group['weight_decay']:g}.")
            group["weight_decay"] = self.to
