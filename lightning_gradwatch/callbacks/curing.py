"""The moments of a fit at which the watch may heal it: its half of ``Watch``, which tells who calls it when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning_gradwatch.callbacks.fit import LiveFit
from lightning_gradwatch.callbacks.guard import guarded
from lightning_gradwatch.callbacks.healing import Healer, renew
from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.callbacks.settings import Settings
from lightning_gradwatch.callbacks.wakefulness import Wakefulness
from lightning_gradwatch.measure.silence import Silence
from lightning_gradwatch.records import Event, Finding
from lightning_gradwatch.remedies.surgery import marker
from lightning_gradwatch.verify.casebook import Casebook

# Most sicknesses show while a fit is so young; later ones are waited for without keeping batches.
_YOUNG = 200


class Curing:
    """A watch that tries remedies on copies, and carries out what is proved."""

    settings: Settings
    strict: bool
    is_off: bool
    live: LiveFit | None
    casebook: Casebook
    healer: Healer
    silence: Silence
    wakefulness: Wakefulness
    _wanted: Finding | None
    _skipped: int
    _treated_at: int
    _tell: Callable[[Event | None], None]
    _join: Callable[[Host], None]

    @guarded
    def _keep(self, batch: Any) -> None:
        """Batches of a stream to try remedies on, while there may be something to cure."""
        if self.live is None or self.settings.on_vanishing != "heal" or batch is None or not self.live.host.reads_once:
            return
        judge = self.casebook.judge
        if self.live.host.step < _YOUNG or judge.suspects or any(one.is_alarm for one in judge.findings):
            self.healer.keep(batch)
        else:
            self.healer.batches.clear()

    def _heal(self) -> None:
        """Take back what did harm, else look for a cure of what is wanted; all ranks alike."""
        live = self.live
        if live is None:
            return
        last = self._last_treatment()
        if last is not None and live.agree(last.effect == "worse"):
            event = self.healer.take_back(live.host, last, live.sampled)
        elif live.agree(self._wanted is not None):
            wanted = live.host.from_rank_zero(self._wanted)  # None: its watch has failed, and nobody else tries
            event = None if wanted is None else self.healer.act(live.host, self.casebook, wanted, live.sampled)
        else:
            return
        if event is None:
            return
        self.casebook.events.append(event)
        self._tell(event)
        if event.action != "no_cure":
            self._begin_anew(live)

    def _last_treatment(self) -> Event | None:
        """A treatment that can still be taken back."""
        last = next((one for one in reversed(self.casebook.events) if one.action in ("treat", "undo_treat")), None)
        stands = last is not None and last.action == "treat" and self.healer.can_take_back
        return last if stands else None

    def _begin_anew(self, live: LiveFit) -> None:
        """The network is another one: what was known of the old one is no baseline for it."""
        host, self._treated_at = live.host, live.sampled + 1
        self._skipped = live.skips.count
        live.close()
        renew(self.casebook, host.model)
        self.silence, self.wakefulness = Silence(), Wakefulness()
        self._join(host)

    # --- a fit that is resumed ----------------------------------------------------------------------------------------

    @guarded
    def expects(self, model: Any) -> None:
        """Weights may be loaded that a treated network had: the new one is then treated alike."""
        marker.ready(model).treat = lambda specs: self.healer.treat_again(model, specs)

    @guarded
    def expects_no_more(self, model: Any) -> None:
        """What was to be loaded is loaded."""
        found = marker.marker_of(model)
        if found is not None:
            found.treat = None
        marker.clear(model)

    @guarded
    def resumes(self, host: Host) -> None:
        """The optimizers are made, their state is not loaded yet."""
        self.expects_no_more(host.model)
        if self.healer.treated:
            self.healer.treat_optimizers_again(host.model, host.optimizers)
            host.switched()
