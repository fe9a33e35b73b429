"""Whether an action helped: the same numbers before and after it, compared against their own noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from lightning_gradwatch.records import Event, Finding, Kind
from lightning_gradwatch.records.pulse import Pulse
from lightning_gradwatch.verify.window import Window, window

# Measured steps that a median needs.
_FEWEST = 3
# A smaller change of the flow is none: enter and leave threshold of a vanishing gradient are one decade apart.
_FLOW = 0.5
# A change of a loss that is smaller than this share of it is none, however quiet the loss is.
_LOSS = 0.01
# The gradient norm is steadier if its noise halves; noise below 0.1 decades (a quarter up or down) harms nobody.
_QUIET = 0.1
# So many decades between head and farthest layer are no healthy flow of any network.
_ILL = 3.0
_WORDS = {"better": "better", "same": "no clear change", "worse": "worse"}


def follow_up(event: Event, finding_before: Finding | None, pulses: Sequence[Pulse], wait: int) -> Event | None:
    """The event with its effect, or None while it is too early to tell.

    "worse" if the flow moved away from 0 decades, or the loss rose or broke; else "better" if the flow came nearer to
    0, or the loss fell faster than it did anyway; else "same".  After a treatment the loss decides, if it tells
    anything: another network may well have another flow.  Each counts only beyond twice its own noise.  That the
    gradient norm becomes wilder or steadier counts too, unless it vanishes: which is not cured by being steadier.

    Args:
        event: what was done; one whose effect is known already is returned as it is.
        finding_before: the finding that it was done about, as it was then; None: not known.
        pulses: measured steps in order, those before the event among them.
        wait: steps after the event before anything is said.
    """
    if event.effect is not None:
        return event
    taken = [one for one in pulses if not one.skipped]
    after = [one for one in taken if one.step > event.step]
    if len(after) < _FEWEST or after[-1].step - event.step < wait:
        return None
    before = [one for one in taken if one.step <= event.step][-max(_FEWEST, len(after)) :]
    if event.action == "treat" and finding_before is not None:  # what it was before it was sick is no measure
        before = [one for one in before if one.step >= finding_before.first_step] or before[-_FEWEST:]
    steps = after[-1].step - event.step
    if not before:
        sentence = f"no change can be shown after {steps} steps: nothing was measured before."
        return replace(event, effect="same", effect_sentence=sentence)
    kind = finding_before.kind if finding_before is not None else None
    ledger = event.finding.partition(":")[2]
    old, new = window(before, ledger), window(after, ledger)
    effect = _of_treatment(old, new) if event.action == "treat" else _effect(old, new, kind)
    return replace(event, effect=effect, effect_sentence=_sentence(effect, steps, old, new))


def _effect(old: Window, new: Window, kind: Kind | None) -> str:
    signs = [_flow(old, new), _loss(old, new)] + ([] if kind is Kind.VANISHING else [_steadiness(old, new)])
    return "worse" if min(signs) < 0 else "better" if max(signs) > 0 else "same"


def _of_treatment(old: Window, new: Window) -> str:
    """Of another network its loss decides, and where that does not tell, its flow."""
    sign = 0
    if old.loss is not None and new.loss is not None:
        sign = _sign(old.loss, new.loss, _margin(old, new))
    if sign == 0 and new.flow is not None and (abs(new.flow) > _ILL or _flow(old, new) > 0):
        sign = _flow(old, new)
    return "worse" if sign < 0 else "better" if sign > 0 else "same"


def _flow(old: Window, new: Window) -> int:
    if old.flow is None or new.flow is None:
        return 0
    return _sign(abs(old.flow), abs(new.flow), max(_FLOW, 2 * max(old.flow_spread, new.flow_spread)))


def _loss(old: Window, new: Window) -> int:
    if old.loss is None or new.loss is None:
        return 0
    margin = _margin(old, new)
    if not (math.isfinite(old.loss) and math.isfinite(new.loss)):
        return _sign(old.loss, new.loss, 0.0)
    if _sign(old.loss, new.loss, margin) < 0:
        return -1
    if old.loss_slope is None:  # too little is known of what it did by itself to call a fall an effect
        return 0
    anyway = min(0.0, old.loss_slope * (new.step - old.step))
    return max(0, _sign(old.loss + anyway, new.loss, margin))


def _margin(old: Window, new: Window) -> float:
    """What a change of the loss has to exceed."""
    return max(2 * max(old.loss_noise or 0.0, new.loss_noise or 0.0), _LOSS * abs(old.loss or 0.0))


def _steadiness(old: Window, new: Window) -> int:
    if old.norm_noise is None or new.norm_noise is None or max(old.norm_noise, new.norm_noise) < _QUIET:
        return 0
    return (new.norm_noise <= old.norm_noise / 2) - (new.norm_noise >= 2 * old.norm_noise)


def _sign(old: float, new: float, margin: float) -> int:
    """1 if it fell by more than the margin, -1 if it rose by more; two infinities are the same."""
    return 0 if old == new else (old - new > margin) - (new - old > margin)


def _sentence(effect: str, steps: int, old: Window, new: Window) -> str:
    told = [
        _change("gradient flow", old.flow, new.flow, "+.1f", " decades"),
        _change("loss", old.loss, new.loss, ".3g"),
        _change("its noise", old.loss_noise, new.loss_noise, ".2g"),
        _change("noise of the gradient norm", old.norm_noise, new.norm_noise, ".2f", " decades"),
    ]
    numbers = ", ".join(filter(None, told)) or "nothing comparable was measured"
    return f"{_WORDS[effect]} after {steps} steps: {numbers}."


def _change(name: str, old: float | None, new: float | None, form: str, unit: str = "") -> str:
    return "" if old is None or new is None else f"{name} {old:{form}} -> {new:{form}}{unit}"
