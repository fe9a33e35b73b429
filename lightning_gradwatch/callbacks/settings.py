"""What a user may ask of a watch, checked at construction: the same for a Trainer and for a loop of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_gradwatch import arguments
from lightning_gradwatch.callbacks.healing import Healer
from lightning_gradwatch.callbacks.policy import OnVanishing, Policy
from lightning_gradwatch.detect import Judge, detectors
from lightning_gradwatch.detect.profiles import PROFILES, Profile
from lightning_gradwatch.diagnose import Ignoring
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.measure.schedule import Schedule
from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.remedies.treatment import Treatment


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
    ignore: Mapping[str, str] | None = None
    profile: Profile = "gradwatch"
    budget: float = 1.3
    remedies: str | Sequence[str | Treatment] = "auto"
    seed: int = 0
    schedule: Schedule = field(init=False)
    policy: Policy = field(init=False)
    ignoring: Ignoring = field(init=False, compare=False)

    def __post_init__(self) -> None:
        arguments.number("min_lr", self.min_lr, 0.0, float("inf"), "a finite number of at least 0")
        arguments.whole("picture_every_n_steps", self.picture_every_n_steps, 0)
        arguments.switch("verbose", self.verbose)
        arguments.switch("strict", self.strict)
        arguments.filled("name", self.name)
        if self.record_to is not None:
            arguments.filled("record_to", self.record_to)
        arguments.word("profile", self.profile, PROFILES)
        arguments.number("budget", self.budget, 1.0, float("inf"), "a finite number of at least 1")
        arguments.whole("seed", self.seed, 0)
        _check_remedies(self.remedies)
        names = () if self.profile == "gradwatch" else [type(one).__name__ for one in detectors(self.profile)]
        object.__setattr__(self, "ignoring", Ignoring(self.ignore, names))
        object.__setattr__(self, "schedule", Schedule(self.every_n_steps))
        policy = Policy(self.on_vanishing, self.decay_factor, self.cooldown_steps, self.max_decays)
        object.__setattr__(self, "policy", policy)

    def judge(self) -> Judge:
        """A judge who knows nothing yet and asks what the profile asks."""
        return Judge(detectors(self.profile))

    def healer(self) -> Healer:
        """One who has not treated anything yet."""
        allowed = None if isinstance(self.remedies, str) else list(self.remedies)
        return Healer(self.budget, allowed, self.seed)

    def told(self) -> dict[str, Any]:
        """Those that decide what is measured and done, for reports."""
        names = ("every_n_steps", "on_vanishing", "decay_factor", "min_lr", "cooldown_steps", "max_decays")
        told = {name: getattr(self, name) for name in names}
        silence = {"ignore": dict(self.ignore)} if self.ignore else {}
        if self.on_vanishing == "heal":
            told |= {"budget": self.budget, "seed": self.seed}
        return told | silence | ({"profile": self.profile} if self.profile != "gradwatch" else {})


def _check_remedies(wanted: object) -> None:
    known = sorted(one.name for one in remedies() if isinstance(one, Treatment))
    if wanted == "auto":
        return
    if isinstance(wanted, str) or not isinstance(wanted, Sequence):
        raise WrongArgument("remedies", '"auto", or a list of treatments or their names', wanted, known)
    for one in wanted:
        if not isinstance(one, Treatment) and one not in known:
            raise WrongArgument("remedies", "treatments, or names of them", one, known)
