"""Small steps first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch.arguments import number, whole, word
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.optimizer_treatment import OptimizerTreatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.edit import Edit


class WarmUp(OptimizerTreatment):
    """A learning rate that begins near zero and rises over the first steps.

    In a straight line, multiplied into whatever schedule there is, from the step on at which it is applied.

    Args:
        steps: of the optimizer until the rate is whole; "auto": 2 / (1 - beta2) of Adam (Ma & Yarats, section 5), 100
            for optimizers without a beta2.
        start: the factor of the first step.
        where: names of modules: only parameter groups that lie in them as a whole; None: all.
        seed: nothing in here is drawn.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> optimizer = torch.optim.SGD([torch.nn.init.ones_(model.weight)], lr=1.0)
        >>> applied = WarmUp(2, start=0.25).apply(model, optimizer)
        >>> for _ in range(3):
        ...     model.weight.grad = torch.ones(1, 1)
        ...     optimizer.step()
        ...     print(model.weight.item())
        0.75
        0.125
        -0.875
        >>> applied.undo()
    """

    name: ClassVar[str] = "WarmUp"
    title: ClassVar[str] = "learning-rate warm-up"
    source: ClassVar[str] = (
        "Goyal et al., Accurate, large minibatch SGD (2017), section 2.2; "
        "Xiong et al., On layer normalization in the Transformer architecture (2020), section 3; "
        "Ma & Yarats, On the adequacy of untuned warmup for adaptive optimization (2021), section 5"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.NORMALIZATION: Cure(
            fit=0.5,
            why="behind a normalisation on the trunk the top layers get too much at first, the lower too little.",
        ),
        CauseKind.LEARNING_RATE: Cure(
            fit=0.5, why="the first steps, on weights that know nothing yet, are the ones that throw them away."
        ),
    }

    heavy: ClassVar[bool] = True  # what comes of it shows after its steps, which are more than a trial has
    cost: ClassVar[str] = "Nothing, but that the first steps are short."

    def __init__(
        self, steps: int | str = 100, *, start: float = 0.01, where: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        super().__init__(where=where, seed=seed)
        if isinstance(steps, str):
            word("steps", steps, ("auto",))
        else:
            whole("steps", steps, least=1)
        number("start", start, 1e-30, 1, "a number above 0 and below 1")
        self.steps, self.start = steps, start

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits steps that are too large at first; a gradient that vanishes, only behind normalisations on the trunk."""
        cause = self.target(finding)
        if cause is None or finding.kind is Kind.STALLED:
            return None
        if finding.kind is Kind.VANISHING and cause.kind is not CauseKind.NORMALIZATION:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Let the rate rise from 0 over the first few hundred steps (LinearLR).",
            reason=f"{self.because(cause)} It costs a few hundred short steps and changes nothing in the network.",
        )

    @property
    def how(self) -> str:
        """How it is done by hand."""
        return f"put LinearLR(optimizer, {self.start:g}, total_iters={self._steps}) before the schedule, step by step."

    def snippet(self, model: nn.Module) -> str:
        """A schedule of Lightning's."""
        return (
            "def configure_optimizers(self):\n"
            "    ...  # optimizer = as it is\n"
            f"    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, {self.start:g}, total_iters={self._steps})\n"
            '    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": warm_up, "interval": "step"}}'
        )

    @property
    def _steps(self) -> int:
        """How many for Adam as torch makes it, where nothing else is known."""
        return 2000 if isinstance(self.steps, str) else self.steps

    def _optimizer(self, edit: Edit, optimizer: Any) -> None:
        from lightning_gradwatch.remedies.surgery import at_step
        from lightning_gradwatch.remedies.surgery.rates import Ramp

        name, groups = at_step.label(edit, optimizer), at_step.groups_of(edit, optimizer)
        if not groups:
            return edit.leave(f"{name} has no parameter group that lies in {', '.join(edit.where or ())} as a whole.")
        steps = _slowest(groups) if isinstance(self.steps, str) else self.steps
        if at_step.start(edit, optimizer, Ramp(repr(self), self.start, steps, at_step.within(edit))):
            edit.change(name, f"{name}: the learning rate rises from {self.start:g} of itself over {steps} steps.")
        return None


def _slowest(groups: Sequence[dict[str, Any]]) -> int:
    """Steps until the slowest of Adam's second moments knows its gradients."""
    known = [group["betas"][1] for group in groups if "betas" in group and group["betas"][1] < 1]
    return round(2 / (1 - max(known))) if known else 100
