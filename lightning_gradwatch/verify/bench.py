"""Copies of a network on one batch: one measured step each, all with the same random numbers."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gradwatch.records import Frame
from lightning_gradwatch.remedies.surgery.ground import reseed
from lightning_gradwatch.verify.interventions.base import Change, floats
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.rehearsal import Rehearsal


class Bench:
    """One state of a network, of which any number of copies make one measured step; only inside ``own_ground``.

    Args:
        make: gives a copy.
        objective: the loss of a plain network; None: the copies are LightningModules with a ``training_step``.
        batch: what they are given.
        seed: of the random numbers of every step.
        weights: the state that the copies are brought to; None: as they are.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        objective: Objective | None,
        batch: Any,
        seed: int,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._make, self._objective, self._batch, self._seed = make, objective, batch, seed
        self._weights, self._precise = weights, False
        self._before: Frame | None = None  # without any change

    def precise(self) -> Bench:
        """The same in float64, in which nothing underflows."""
        twin = copy.copy(self)
        twin._precise, twin._before = True, None
        return twin

    def copy(self) -> nn.Module:
        """One more copy."""
        model = self._make()
        if self._weights is not None:
            model.load_state_dict(self._weights)
        return model.double() if self._precise else model

    @property
    def before(self) -> Frame | None:
        """A step without any change; None: there was no loss.

        A branch beside the trunk has a ledger only where an earlier step told of it, so there are two looks.
        """
        if self._before is None:
            self._before = self._look(self.copy(), None, None)
            self._before = self._look(self.copy(), None, self._before)
        return self._before

    def after(self, model: nn.Module, change: Change) -> Frame | None:
        """A step of a copy that an intervention has had; the copy is used up."""
        return self._look(model, change, self._before)

    def _look(self, model: nn.Module, change: Change | None, previous: Frame | None) -> Frame | None:
        reseed(self._seed)
        batch = floats(self._batch, lambda value: value.double()) if self._precise else self._batch
        with _eager():
            rehearsal = Rehearsal(model, self._objective, 1, previous)
            if change is None:
                return rehearsal.step(batch)
            with change.around:
                return rehearsal.step(change.batch(batch))


def _eager() -> AbstractContextManager[Any]:
    """What is compiled runs as it was written: nothing in it could be replaced else."""
    stance = getattr(torch.compiler, "set_stance", None)
    if stance is None or "torch._dynamo" not in sys.modules:  # seconds to import, for those who do not compile
        return nullcontext()
    return stance("force_eager")
