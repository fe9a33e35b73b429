"""What treatments share that change how the weights are moved, and nothing of the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import _lightning
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.treatment import Treatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.at_step import AtStep
    from lightning_gradwatch.remedies.surgery.edit import Edit


class OptimizerTreatment(Treatment):
    """Base of the treatments of optimizers; subclasses write ``_optimizer``.

    In a fit they act when everything is loaded.  A fit that is resumed from a checkpoint of a treated one is treated
    before: the optimizer must be what it was, for its state to fit.  Every fit makes its optimizers anew, and so is
    treated anew.

    Args:
        where: names of modules: only parameter groups that lie in them as a whole; None: all.
        seed: nothing in here is drawn.
    """

    moment: ClassVar[Moment] = Moment.FIT
    structural: ClassVar[bool] = False
    edits_network: ClassVar[bool] = False

    def __init__(self, *, where: Sequence[str] | None = None, seed: int = 0) -> None:
        super().__init__(where=where, seed=seed)
        self._running: list[AtStep] = []  # what acts in the fit at every step
        self._saved: list[dict[str, Any]] = []  # what the checkpoint knew of it

    def _edit(self, edit: Edit) -> None:
        if not edit.optimizers:
            edit.leave("There is no optimizer yet: give it to `apply`, or the treatment to the Trainer as a callback.")
        for optimizer in edit.optimizers:
            self._optimizer(edit, optimizer)

    @abstractmethod
    def _optimizer(self, edit: Edit, optimizer: Any) -> None:
        """Treat one optimizer."""

    def snippet(self, model: nn.Module) -> str:
        """Lines of code to put into one's own program."""
        return f"from lightning_gradwatch import {self.name}\n\ntrainer = Trainer(callbacks=[{self!r}])"

    # --- as a callback ------------------------------------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """A new fit has new optimizers."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self.applied, self._running, self._saved = None, [], []

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The state of the optimizers is yet to be loaded."""
        if self._resumed:
            self._treat(trainer, pl_module, _lightning.optimizers_of(trainer))

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Everything is loaded: also from a checkpoint of a fit without the treatment, whose settings are changed."""
        self._treat(trainer, pl_module, _lightning.optimizers_of(trainer))

    def state_dict(self) -> dict[str, Any]:
        """That it was applied, and how far it has come with each optimizer."""
        return {**super().state_dict(), "running": [acts.state_dict() for acts in self._running]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A resumed fit goes on where it was."""
        super().load_state_dict(state_dict)
        self._saved = list(state_dict.get("running", ()))

    def _treat(self, trainer: Any, module: Any, optimizers: Sequence[Any]) -> None:
        if self.applied is not None:
            return
        super()._treat(trainer, module, optimizers)
        from lightning_gradwatch.remedies.surgery.at_step import running_on

        self._running = [acts for one in optimizers for acts in running_on(one, repr(self))]
        for acts, state in zip(self._running, self._saved, strict=False):
            acts.load_state_dict(state)

    def _let_go(self) -> None:
        super()._let_go()
        for acts in self._running:
            acts.detach()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_running": [], "_saved": []}
