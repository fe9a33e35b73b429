"""What of a watch outlives its process: its half of ``Watch``, which a checkpoint, a copy or a pickle carries."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from lightning_gradwatch.callbacks import keeping, notes
from lightning_gradwatch.callbacks.acting import Actor
from lightning_gradwatch.callbacks.fit import LiveFit
from lightning_gradwatch.callbacks.guard import sheltered
from lightning_gradwatch.callbacks.healing import Healer
from lightning_gradwatch.callbacks.settings import Settings
from lightning_gradwatch.callbacks.telling import Teller
from lightning_gradwatch.measure.silence import Silence
from lightning_gradwatch.verify.casebook import Casebook


class Kept:
    """A watch that goes on where a checkpoint was written."""

    settings: Settings
    strict: bool
    is_off: bool
    live: LiveFit | None
    actor: Actor
    casebook: Casebook
    teller: Teller
    healer: Healer
    silence: Silence
    _skipped: int
    _owed: bool
    _treated_at: int
    _new_casebook: Callable[[], None]
    _switch_off: Callable[[str, Exception], None]
    _carry: Callable[[], dict[str, Any]]
    _wake_again: Callable[[dict[str, Any]], None]

    def state(self) -> dict[str, Any]:
        """One JSON text: nothing that ``weights_only=True`` could refuse.

        A checkpoint is the user's: where the casebook cannot be written, it holds what concerns the training.
        """
        state = keeping.pack(self._training())
        self._remember(state)
        return state

    def _training(self) -> dict[str, Any]:
        live = self.live
        return {
            "rate_scale": self.actor.rates.factor,
            "skipped_steps": self._skipped if live is None else live.skips.count,
            "owed": self._owed if live is None else live.owed,
            "silence": self.silence.state(),
            "healing": self.healer.state(None if live is None else live.host.optimizers),
            "treated_at": self._treated_at,
        }

    @sheltered
    def _remember(self, state: dict[str, Any]) -> None:
        state.update(keeping.pack({**self.casebook.state(), **self._training(), **self._carry()}))

    def restore(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was written; a state that cannot be read is said once and ignored."""
        try:
            self._restore(keeping.unpack(state_dict))
        except Exception as error:
            foreign = isinstance(error, (AttributeError, KeyError, TypeError, ValueError))  # else the fault is ours
            if self.strict and not foreign:
                raise
            if self.live is None:
                self._new_casebook()
            say = self.teller.note if foreign else functools.partial(self.teller.failed, error=error)
            say(notes.state_ignored(error))

    def _restore(self, state: dict[str, Any]) -> None:
        # What concerns the training comes first: it is kept also where the rest cannot be read.
        self.actor.rates.set(float(state["rate_scale"]))
        self._skipped, self._owed = int(state.get("skipped_steps", 0)), bool(state.get("owed", False))
        self.silence.restore(state.get("silence", {}))
        self.healer.restore(state.get("healing", {}))
        self._treated_at = int(state.get("treated_at", 0))
        if "judge" in state:
            self.casebook.restore(state)
        else:
            self.teller.note(notes.NO_CASEBOOK)
        if self.live is not None:  # rolled back while it runs
            self.live.sampled, self.live.owed = self.casebook.last_step, self._owed
            self.live.previous = self.casebook.last_frame
        self._wake_again(state)

    def __getstate__(self) -> dict[str, Any]:
        """Without the running fit: copies and pickles hold no trainer, tensor or open file."""
        return {**self.__dict__, "live": None, "teller": Teller(self.casebook, speaks=self.settings.verbose)}
