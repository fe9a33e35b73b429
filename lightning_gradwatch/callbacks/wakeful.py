"""The moments of a fit at which the watch may wake up: its half of ``Watch``, which tells who calls it when."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch.callbacks.fit import LiveFit
from lightning_gradwatch.callbacks.guard import guarded, sheltered
from lightning_gradwatch.callbacks.wakefulness import Wakefulness


class Wakeful:
    """A watch that looks at steps which are not measured, and measures more where that is worth it."""

    strict: bool
    is_off: bool
    live: LiveFit | None
    wakefulness: Wakefulness
    _chosen: bool

    def reset(self) -> None:
        """Know no baselines."""
        self.wakefulness = Wakefulness()
        self._broken = False  # whether the loss at hand has just become infinite or NaN
        self._suspicious = False  # whether the last measured step showed a symptom that is no finding yet

    @guarded
    def _look_out(self) -> None:
        if self.live is not None:
            self.live.lookout.batch_begins(self._look)

    @guarded
    def _look(self, optimizer: Any) -> None:
        if self.live is not None:
            self.live.lookout.optimizer_begins(optimizer)

    @guarded
    def _hear(self, loss: Any) -> None:
        self._broken = False
        self._broken = self.live is not None and self.live.lookout.backward_begins(loss)

    @sheltered
    def _choose_late(self) -> None:
        live = self.live
        if live is None or self._chosen:
            return
        ends = not live.host.by_hand and live.host.should_stop and live.host.may_end_here
        if (self._broken or ends) and live.chooses():
            self._chosen = True
            self._measure()

    @guarded
    def _tell_looks(self) -> None:
        if self.live is not None:
            self.live.lookout.batch_ends()

    @sheltered
    def _attend(self) -> None:
        if self.live is not None:
            self.live.attend(self._suspicious)

    def _carry(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        if self.live is not None:
            self.live.lookout.carry()
        return {"wakefulness": self.wakefulness.state()}

    def _wake_again(self, state: dict[str, Any]) -> None:
        """Go on from what ``_carry`` gave; older states hold nothing of it."""
        if "wakefulness" in state:
            self.wakefulness.restore(state["wakefulness"])
        if self.live is not None:
            self.live.lookout.go_on()

    def _measure(self) -> None:
        raise NotImplementedError

    def _switch_off(self, stage: str, error: Exception) -> None:
        raise NotImplementedError
