"""Random search over the remedies that ``heal`` has, at the same moment and for as many steps.

The watch's first alarm starts it, as it starts ``heal``.  It knows no diagnosis: treatments are drawn from all that
apply to the network, with the same partners that ``heal`` gives them, and tried on copies of the running fit, each for
an equal part of the same budget, on the same fresh batches.  The one whose copy has the lowest loss at the end is given
to the fit, which goes on from that copy, as it does in ``heal``.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from typing import Any

from fitting import fit

from lightning_gradwatch import GradWatch, _lightning
from lightning_gradwatch.anatomy import inspect_model
from lightning_gradwatch.callbacks.carrying import go_on_from
from lightning_gradwatch.callbacks.trainer_host import TrainerHost
from lightning_gradwatch.records import Finding, Remedy
from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.remedies.surgery.operation import operate_all
from lightning_gradwatch.remedies.treatment import Treatment
from lightning_gradwatch.verify.arm import Arm, Origin, copied
from lightning_gradwatch.verify.batches import fresh
from lightning_gradwatch.verify.candidates import Case, candidates
from lightning_gradwatch.verify.paired import mean
from lightning_gradwatch.verify.stage import Midway

BUDGET, MOST = 0.3, 300  # share of the fit's steps that trials may take, and steps at most: heal's
SHORTEST = 10  # steps of a trial


class RandomSearch(_lightning.namespace().Callback):
    """Searches once, at the first alarm."""

    def __init__(self, watch: GradWatch, steps: int, seed: int) -> None:
        self.watch, self.budget, self.draw, self.seed = watch, min(MOST, BUDGET * steps), random.Random(seed), seed
        self.did: list[str] = []
        self.searched = False

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.searched:
            return
        finding = next((one for one in self.watch.report.findings if one.is_alarm), None)
        if finding is not None:
            self.searched = True
            self._search(trainer, pl_module, finding)

    def _search(self, trainer: Any, module: Any, finding: Finding) -> None:
        optimizers = _lightning.optimizers_of(trainer)
        drawn = self._drawn(module, optimizers, finding)
        if not drawn:
            self.did.append(f"{trainer.global_step}: no remedy applies")
            return
        length = int(self.budget / len(drawn))
        with own_ground(self.seed):
            batches = [fresh(one) for one in itertools.islice(_lightning.training_batches(trainer), length)]
            midway = Midway(optimizers=(), **_lightning.rehearsal(trainer, module))
            origin = Origin(
                copy=lambda: copied(module, optimizers), objective=None, batches=batches, seed=self.seed, midway=midway
            )
            arms = [_tried(origin, one, length) for one in drawn]
        losses = [math.inf if arm is None else mean(arm.losses[-max(2, length // 3) :]) for arm in arms]
        told = ", ".join(f"{_name(one)} {loss:.3g}" for one, loss in zip(drawn, losses, strict=True))
        self.did.append(f"{trainer.global_step}: tried {told}")
        best = min(range(len(drawn)), key=losses.__getitem__)
        if math.isfinite(losses[best]):
            operate_all(drawn[best], module, optimizers, lambda: iter(batches), undoable=False)
            go_on_from(arms[best], TrainerHost(trainer, module))
            self.did.append(f"kept {_name(drawn[best])}")

    def _drawn(self, module: Any, optimizers: Any, finding: Finding) -> list[tuple[Treatment, ...]]:
        """As many candidates as the budget gives time to, at random."""
        every = tuple(
            Remedy(name=one.name, title=one.title, advice="", reason="", cures=(), source=one.source)
            for one in remedies()
            if isinstance(one, Treatment)
        )
        undiagnosed = dataclasses.replace(finding, remedies=every)
        case = Case(finding=undiagnosed, anatomy=inspect_model(module), model=module, optimizers=optimizers)
        found = candidates(case)
        return self.draw.sample(found, min(len(found), max(1, int(self.budget / SHORTEST))))


def _tried(origin: Origin, treatments: tuple[Treatment, ...], steps: int) -> Arm | None:
    """A treated copy after some steps; None where it breaks."""
    try:
        arm = Arm(origin, treatments)
        arm.train(steps)
    except Exception:  # the user's own code, in a situation that it was not made for
        return None
    return arm if all(map(math.isfinite, arm.losses)) else None


def _name(treatments: tuple[Treatment, ...]) -> str:
    return " + ".join(map(repr, treatments))


def search(one: Any) -> dict[str, Any]:
    """The arm."""
    watch = GradWatch(verbose=False)
    arm = RandomSearch(watch, one.fit.steps, one.seed)
    return {**fit(one, [watch, arm]), "did": arm.did}
