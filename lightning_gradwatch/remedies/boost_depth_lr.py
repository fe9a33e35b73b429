"""Larger steps where updates lag behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import arguments
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.network import evidence, through_time
from lightning_gradwatch.remedies.optimizer_treatment import OptimizerTreatment

if TYPE_CHECKING:
    from lightning_gradwatch.remedies.surgery.edit import Edit

# Of what is lost by more decades no boost of a hundred gives enough back.
_FAR = 4.0


class BoostDepthLR(OptimizerTreatment):
    """Give layers whose updates lag behind the median of all layers larger steps, as larger rates would.

    The step of a layer is enlarged after the optimizer has made it, by ``(median ratio / its ratio) ** strength``,
    where a ratio is the norm of the update beside that of the weights.  It sticks under every optimizer and scheduler.

    Args:
        strength: 1 lifts a lagging layer to the median, 0.5 half of the way in decades.
        most: the largest factor.
        window: steps over which ratios are measured; the first window is not boosted.
        where: names of modules, of parts that hold them, or patterns of names; None: everywhere.
        seed: not used; every treatment has one.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> BoostDepthLR(0.5, most=10.0)
        BoostDepthLR(0.5, most=10.0)
    """

    name: ClassVar[str] = "BoostDepthLR"
    title: ClassVar[str] = "larger steps for layers that lag"
    source: ClassVar[str] = (
        "You, Gitman & Ginsburg, Large batch training of convolutional networks (2017), equation 6; "
        "Singh et al., Layer-specific adaptive learning rates for deep networks (2015), equation 5"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.DEPTH: Cure(fit=0.15, why="what still arrives at the first layers is taken with larger steps."),
        CauseKind.INITIALIZATION: Cure(fit=0.1, why="larger steps move small gradients out of bad weights sooner."),
        CauseKind.ACTIVATION: Cure(fit=0.1, why="larger steps make up for a gradient that is small but not lost."),
    }
    safe_unasked: ClassVar[bool] = False
    cost: ClassVar[str] = "No parameters; one more copy of the weights, and two passes over them a step."

    def __init__(
        self,
        strength: float = 1.0,
        *,
        most: float = 100.0,
        window: int = 20,
        where: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(where=where, seed=seed)
        arguments.number("strength", strength, 1e-6, 1 + 1e-6, "a number above 0, at most 1")
        arguments.number("most", most, 1, float("inf"), "a finite number of at least 1")
        arguments.whole("window", window, 1)
        self.strength, self.most, self.window = strength, most, window

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits gradients that vanish over layers and still arrive; last, since it does not mend what loses them."""
        cause = self.target(finding)
        if cause is None or finding.kind is not Kind.VANISHING or through_time(finding, anatomy):
            return None
        lost = next((q.value for q in evidence(finding) if q.name == "decades lost"), None)
        if lost is not None and lost > _FAR:
            return None
        told = "" if lost is None else f" {lost:.1f} decades are lost, which a hundredfold step can nearly make up for."
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Give the layers that lag a larger rate, in groups of their own.",
            reason=f"{self.because(cause)}{told}",
        )

    def snippet(self, model: Any) -> str:
        """Groups of parameters with rates of their own."""
        return (
            "from lightning_gradwatch import BoostDepthLR\n\n"
            f"{self!r}.apply(model, optimizer)  # after the optimizer is made\n"
            "# or by hand, for each layer that lags:\n"
            'torch.optim.SGD([{"params": model.first.parameters(), "lr": 100 * lr}, ...], lr=lr)'
        )

    def _optimizer(self, edit: Edit, optimizer: Any) -> None:
        from lightning_gradwatch.remedies.surgery import at_step
        from lightning_gradwatch.remedies.surgery.step_boost import StepBoost

        name, layers = at_step.label(edit, optimizer), _layers(edit, optimizer)
        if len(layers) < 2:
            edit.leave(f"{name} trains fewer than two layers here, so that none can lag behind the others.")
        elif at_step.start(edit, optimizer, StepBoost(repr(self), layers, self.strength, self.most, self.window)):
            told = f"Those of {len(layers)} layers that lag get up to {self.most:g} times the step of {name}"
            edit.change(name, f"{told}, from step {self.window} on.")


def _layers(edit: Edit, optimizer: Any) -> dict[str, list[Any]]:
    """The modules that were asked for, with those of their own parameters that the optimizer trains."""
    free = {id(p) for group in optimizer.param_groups for p in group["params"] if p.requires_grad}
    layers: dict[str, list[Any]] = {}
    for name, module in edit.modules:
        own = [p for p in module.parameters(recurse=False) if id(p) in free]
        free -= {id(p) for p in own}  # a tied one belongs to the first that has it
        if own:
            layers[name] = own
    return layers
