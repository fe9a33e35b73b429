"""The callback that the environment gives to a Trainer: it puts a watch in its own place, if the fit has none."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.callbacks.gradwatch import GradWatch

_Bases: Any = _lightning.callback_bases()


@_lightning.callback_in_both
class GradWatchFromEnvironment(*_Bases):
    """Becomes a ``GradWatch()`` when a fit begins, or nothing where somebody else has put one there.

    A Trainer asks the environment before it is complete: callbacks may still come from the module, from the program, or
    from a list that was another Trainer's.  So the question is put when all of them are there; until then this holds no
    state, so that two of them, or one beside a watch, never are "more than one stateful callback".
    """

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Make room for the watch, or just make room."""
        if stage != "fit":
            return
        is_watched = any(isinstance(callback, GradWatch) for callback in trainer.callbacks)
        watches = [] if is_watched else [GradWatch()]
        # A new list: Lightning is walking through the present one, and would leave out the callback after this.
        place = trainer.callbacks.index(self)
        trainer.callbacks = [*trainer.callbacks[:place], *watches, *trainer.callbacks[place + 1 :]]
        for watch in watches:
            watch.setup(trainer, pl_module, stage)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: not the methods of the module either, which Lightning lends to every callback."""
        return {}
