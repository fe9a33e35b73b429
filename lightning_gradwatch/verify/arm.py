"""One arm of a trial: a copy of a network with its optimizers, treated or not, in training."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from lightning_gradwatch.records import Frame
from lightning_gradwatch.remedies.applied import Applied
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.surgery.at_step import take_along
from lightning_gradwatch.remedies.surgery.ground import reseed
from lightning_gradwatch.remedies.surgery.operation import operate_all
from lightning_gradwatch.remedies.treatment import Treatment
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.rehearsal import Rehearsal
from lightning_gradwatch.verify.stage import Midway
from lightning_gradwatch.verify.subject import held_by, shared


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the arms of a trial come from.

    Args:
        copy: gives a copy of the network, and its optimizers' copies where a fit runs already (else None).
        objective: the loss of a plain network; None: it is a LightningModule with a ``training_step``.
        batches: what the arms are trained on, in this order, again from the start where they are through.
        held: what they are not trained on, to judge them by.
        seed: of the random numbers of every step, the same in all arms.
        previous: a measured step of the network, which tells of what branches there is a ledger.
        midway: the fit that the copies stand in the middle of; None: they stand at the beginning of one.
    """

    copy: Callable[[], tuple[nn.Module, list[Any] | None]]
    objective: Objective | None
    batches: Sequence[Any]
    seed: int
    held: Sequence[Any] = ()
    midway: Midway | None = None
    previous: Frame | None = None


class Arm:
    """A copy in training; only inside ``own_ground``.

    Args:
        origin: where it comes from.
        treatments: what it is given; none: it is left as it is.
    """

    def __init__(self, origin: Origin, treatments: Sequence[Treatment] = ()) -> None:
        self.origin, self.treatments = origin, tuple(treatments)
        self.losses: list[float] = []
        self.held: list[float] = []  # the last losses on what it is not trained on
        self.seconds = 0.0  # spent in steps
        self.ill: float | None = None  # how ill its first step showed it to be, in the yardstick of a finding
        model, optimizers = origin.copy()
        if optimizers is None:
            at_setup = [one for one in treatments if one.moment is Moment.SETUP]
            later = [one for one in treatments if one.moment is not Moment.SETUP]
            applied = [self._treat(model, [], at_setup)]
            self.rehearsal = Rehearsal(model, origin.objective, len(origin.batches))
            applied.append(self._treat(model, self.rehearsal.optimizers, later))
        else:
            applied = [self._treat(model, optimizers, treatments)]
            midway = replace(origin.midway or Midway(optimizers=()), optimizers=optimizers)
            self.rehearsal = Rehearsal(model, origin.objective, len(origin.batches), origin.previous, midway)
        self.applied = applied
        self.parameters = sum(one.parameters for one in applied)

    def _treat(self, model: nn.Module, optimizers: Sequence[Any], treatments: Sequence[Treatment]) -> Applied:
        return operate_all(treatments, model, optimizers, lambda: iter(self.origin.batches), undoable=False)

    @property
    def is_changed(self) -> bool:
        """Whether every treatment found something to change."""
        return sum(len(one.spec.get("treatments", ())) for one in self.applied) == len(self.treatments)

    def look(self) -> Frame | None:
        """One measured step."""
        reseed(self.origin.seed + len(self.losses))
        frame = self.rehearsal.step(self._batch())
        self.losses.append(math.nan if frame is None or frame.loss is None else frame.loss)
        return frame

    def train(self, steps: int) -> None:
        """So many further steps; fewer, where it breaks."""
        began = time.perf_counter()
        for _ in range(steps):
            reseed(self.origin.seed + len(self.losses))
            loss = self.rehearsal.train(self._batch())
            self.losses.append(math.nan if loss is None else loss)
            if loss is not None and not math.isfinite(loss):
                break
        self.seconds += time.perf_counter() - began

    def lose(self) -> list[float]:
        """The loss in eval mode on each of the held-back batches; of a module that steps by hand the last losses."""
        reseed(self.origin.seed)
        held = [self.rehearsal.lose(batch) for batch in self.origin.held]
        known = [loss for loss in held if loss is not None]
        losses = known or self.losses[-max(1, len(self.origin.held)) :]
        return [loss if math.isfinite(loss) else math.inf for loss in losses]

    def close(self) -> None:
        """Let go of the copy; its numbers stay."""
        del self.rehearsal

    def _batch(self) -> Any:
        return self.origin.batches[len(self.losses) % len(self.origin.batches)]


def copied(model: nn.Module, optimizers: Sequence[Any]) -> tuple[nn.Module, list[Any]]:
    """A deep copy of a network in training with its optimizers; the data that it may hold is shared.

    Example:
        >>> import torch
        >>> layer = nn.Linear(1, 1)
        >>> twin, (optimizer,) = copied(layer, [torch.optim.SGD(layer.parameters(), lr=0.1)])
        >>> twin.weight is layer.weight, optimizer.param_groups[0]["params"][0] is twin.weight
        (False, True)
    """
    held = held_by(model)
    memo = shared(held)
    # What a step left in an attribute has a graph, which cannot be copied.
    memo |= {id(t): t.detach().clone() for t in held if isinstance(t, Tensor) and t.grad_fn is not None}
    twin = copy.deepcopy(model, memo)
    twins = [copy.deepcopy(optimizer, memo) for optimizer in optimizers]
    for optimizer, copied_one in zip(optimizers, twins, strict=True):
        take_along(optimizer, copied_one, memo)
    return twin, twins
