"""What a user may ask of a watch, checked at construction: the same for a Trainer and for a loop of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lightning_gradwatch.callbacks import arguments
from lightning_gradwatch.callbacks.policy import OnVanishing, Policy
from lightning_gradwatch.measure.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The arguments of ``GradWatch``, whose docstring describes them.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> Settings(every_n_steps=20).schedule.due(40)
        True
    """

    every_n_steps: int = 100
    on_vanishing: OnVanishing = "warn"
    decay_factor: float = 0.5
    min_lr: float = 1e-7
    cooldown_steps: int = 200
    max_decays: int = 3
    record_to: str | None = None
    picture_every_n_steps: int = 1000
    verbose: bool = True
    strict: bool = False
    name: str = "gradwatch"
    schedule: Schedule = field(init=False)
    policy: Policy = field(init=False)

    def __post_init__(self) -> None:
        arguments.number("min_lr", self.min_lr, 0.0, float("inf"), "a finite number of at least 0")
        arguments.whole("picture_every_n_steps", self.picture_every_n_steps, 0)
        arguments.switch("verbose", self.verbose)
        arguments.switch("strict", self.strict)
        arguments.filled("name", self.name)
        if self.record_to is not None:
            arguments.filled("record_to", self.record_to)
        object.__setattr__(self, "schedule", Schedule(self.every_n_steps))
        policy = Policy(self.on_vanishing, self.decay_factor, self.cooldown_steps, self.max_decays)
        object.__setattr__(self, "policy", policy)

    def told(self) -> dict[str, Any]:
        """Those that decide what is measured and done, for reports."""
        names = ("every_n_steps", "on_vanishing", "decay_factor", "min_lr", "cooldown_steps", "max_decays")
        return {name: getattr(self, name) for name in names}
