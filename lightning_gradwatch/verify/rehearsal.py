"""A few steps of training on a copy, every one measured: frames as a fit would give them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.parameters import owned_by
from lightning_gradwatch.measure.silence import Silence
from lightning_gradwatch.measure.step import StepMeter
from lightning_gradwatch.measure.traits import traits_of
from lightning_gradwatch.records import Frame
from lightning_gradwatch.verify.batches import fresh
from lightning_gradwatch.verify.objective import Objective, scalar
from lightning_gradwatch.verify.stage import Stage

# Of the optimizer that is taken where there is no other.
RATE = 1e-3


class Rehearsal:
    """Trains a copy.

    Args:
        model: the copy: it is trained.
        objective: the loss of a plain network; None: the copy is a LightningModule with a ``training_step``.
        steps: how many steps there will be.
        previous: a measured step of such a copy, which tells of what branches there is a ledger.
    """

    def __init__(
        self, model: nn.Module, objective: Objective | None, steps: int, previous: Frame | None = None
    ) -> None:
        self.model, self._objective = model, objective
        self._stage = Stage(model, steps, self._backward) if objective is None else None
        self.trouble = "" if self._stage is None else self._stage.trouble
        self.optimizers = [] if self._stage is None else self._stage.optimizers
        if not self.optimizers:
            trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
            self.optimizers.append(torch.optim.Adam(trainable, lr=RATE))
        self._by_hand = self._stage is not None and not self._stage.module.automatic_optimization
        self._silence = Silence()
        self._previous = previous
        self._meter = StepMeter({})
        self._step = 0
        for optimizer in self.optimizers:  # they are ours and end with the copy
            optimizer.register_step_pre_hook(self._begins)
            optimizer.register_step_post_hook(self._ends)

    @property
    def optimizer(self) -> str:
        """What it steps with, for people."""
        return " and ".join(dict.fromkeys(type(one).__name__ for one in self.optimizers))

    def step(self, batch: Any) -> Frame | None:
        """One step; None: it was left out, by ``training_step``."""
        index, self._step = self._step, self._step + 1
        self._meter = StepMeter(parameter_names(self.model), silence=self._silence, previous=self._previous)
        rates = tuple(float(group["lr"]) for one in self.optimizers for group in one.param_groups)
        if self._by_hand and self._stage is not None:
            self._stage.loss(batch, index)
        elif not self._train(batch, index):
            return None
        reading = self._meter.finish()
        if not reading.stepped:
            self._silence.forget()
            return None
        self._silence.commit()
        self._previous = Frame(
            step=index,
            global_step=index,
            epoch=0,
            batch=index,
            loss=reading.loss,
            rates=rates,
            ledgers=reading.ledgers,
            branches=reading.branches,
            operations=reading.operations,
            times=reading.times,
            fault=reading.fault,
            unowned=reading.unowned,
            parameters=reading.parameters,
            optimizers=reading.optimizers,
        )
        return self._previous

    def peek(self, batch: Any) -> None:
        """A loss without a step: lazy layers learn their shapes from it."""
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = 0.0  # of an optimizer that steps by hand
        self._loss(batch, 0)

    def _train(self, batch: Any, index: int) -> bool:
        """Backward and step of automatic optimisation; whether there was a loss."""
        loss = self._loss(batch, index)
        if loss is None:
            return False
        self.model.zero_grad(set_to_none=True)
        self._backward(loss)

        def closure() -> Any:  # of an optimizer that looks several times (L-BFGS): the first look was measured
            self.model.zero_grad(set_to_none=True)
            again = self._loss(batch, index)
            again.backward()
            return again

        for optimizer in self.optimizers:
            optimizer.step(*((closure,) if isinstance(optimizer, torch.optim.LBFGS) else ()))
        return True

    def _loss(self, batch: Any, index: int) -> Any:
        if self._stage is not None:
            loss = self._stage.loss(batch, index)
            return None if loss is None else scalar(loss)
        assert self._objective is not None
        return self._objective(self.model, fresh(batch, device_of(self.model)))

    def _backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        meter = self._meter
        if loss.grad_fn is not None:
            meter.backward_begins(loss.grad_fn, loss.detach().float().sum(), 1.0)
        loss.backward(*args, **kwargs)
        meter.backward_ends()
        meter.strays.look(self.optimizers, meter.names, False)
        for index, optimizer in enumerate(self.optimizers):
            meter.optimizer(index).arrives(owned_by(optimizer, index, meter.names), 1.0)

    def _begins(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        meter, index = self._meter, self._index(optimizer)
        meter.optimizer(index).begins(
            lambda: owned_by(optimizer, index, meter.names), 1.0, meter.backwards, traits_of(optimizer, meter.names)
        )

    def _ends(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._meter.optimizer(self._index(optimizer)).ends()

    def _index(self, optimizer: Any) -> int:
        return next(index for index, one in enumerate(self.optimizers) if one is optimizer)


def device_of(model: nn.Module) -> torch.device:
    """Where its first parameter lies."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
