"""What a fit takes over: from a copy that was trained ahead, and from a checkpoint of what acts at every step.

Such a treatment keeps what it knows (how far a warm-up is, which norms there were) on the hooks of its optimizer alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.records.codec import encode
from lightning_gradwatch.remedies.surgery.at_step import AtStep, running_on
from lightning_gradwatch.verify.arm import Arm

_NUMBERS = {word: float(word) for word in ("inf", "-inf", "nan")}  # as ``encode`` writes them


def go_on_from(arm: Arm | None, host: Host) -> int:
    """Take over what a copy has learnt; how many steps that was, 0 where it does not fit.

    The rates stay those of the fit: its schedulers have not moved.
    """
    if arm is None:
        return 0
    theirs = arm.rehearsal.optimizers
    if [type(one) for one in theirs] != [type(one) for one in host.optimizers]:
        return 0
    host.model.load_state_dict(arm.rehearsal.model.state_dict())
    for mine, other in zip(host.optimizers, theirs, strict=True):
        rates = [group["lr"] for group in mine.param_groups if "lr" in group]
        mine.load_state_dict(other.state_dict())
        for group, rate in zip([group for group in mine.param_groups if "lr" in group], rates, strict=True):
            group["lr"] = rate
        for acts, ahead in zip(running_on(mine), running_on(other), strict=True):
            acts.load_state_dict(ahead.state_dict())
    return len(arm.losses)


def carried(optimizers: Sequence[Any], told: Collection[str]) -> list[dict[str, Any]]:
    """As JSON data, what the treatments of these names know that act at every step.

    Args:
        optimizers: torch optimizers.
        told: treatments, as people read them; others carry their own.
    """
    return [
        {"optimizer": place, "treatment": acts.told, "state": encode(acts.state_dict())}
        for place, optimizer in enumerate(optimizers)
        for acts in running_on(optimizer)
        if acts.told in told
    ]


def hand_over(optimizers: Sequence[Any], saved: Sequence[dict[str, Any]]) -> None:
    """Let treatments that act on these optimizers again go on where ``carried`` found them."""
    for one in saved:
        place, told = int(one["optimizer"]), str(one["treatment"])
        found: list[AtStep] = running_on(optimizers[place], told) if place < len(optimizers) else []
        for acts in found:
            acts.load_state_dict(_decoded(one["state"]))


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
