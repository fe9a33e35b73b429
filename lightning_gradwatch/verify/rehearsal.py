"""A few steps of training on a copy, every one measured: frames as a fit would give them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
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
from lightning_gradwatch.verify.stage import Midway, Stage

# Of the optimizer that is taken where there is no other.
RATE = 1e-3


class Rehearsal:
    """Trains a copy.

    Args:
        model: the copy: it is trained.
        objective: the loss of a plain network; None: the copy is a LightningModule with a ``training_step``.
        steps: how many steps there will be.
        previous: a measured step of such a copy, which tells of what branches there is a ledger.
        midway: the fit whose middle the copy was taken from; None: it stands at the beginning of one.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective | None,
        steps: int,
        previous: Frame | None = None,
        midway: Midway | None = None,
    ) -> None:
        self.model, self._objective = model, objective
        self._stage = Stage(model, steps, self._backward, midway) if objective is None else None
        self.trouble = "" if self._stage is None else self._stage.trouble
        self.optimizers = [] if self._stage is None else self._stage.optimizers
        self._context = nullcontext if midway is None else midway.context
        self._clip = None if midway is None else midway.clip
        if self._stage is None and midway is not None:
            self.optimizers = list(midway.optimizers)
        if not self.optimizers:
            trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
            self.optimizers.append(torch.optim.Adam(trainable, lr=RATE))
        self._by_hand = self._stage is not None and not self._stage.module.automatic_optimization
        self._silence = Silence()
        self._previous = previous
        self._meter: StepMeter | None = StepMeter({})
        self._losses: list[Tensor] = []  # of the step at hand
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
        index = self._step
        meter = self._meter = StepMeter(parameter_names(self.model), silence=self._silence, previous=self._previous)
        rates = tuple(float(group["lr"]) for one in self.optimizers for group in one.param_groups)
        if not self._advance(batch):
            return None
        reading = meter.finish()
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

    def train(self, batch: Any) -> float | None:
        """One step that is not measured; its loss (of several, their sum), None: it was left out."""
        self._meter = None
        made = self._advance(batch)
        return float(torch.stack(self._losses).sum()) if made and self._losses else None

    def _advance(self, batch: Any) -> bool:
        index, self._step, self._losses = self._step, self._step + 1, []
        if self._by_hand and self._stage is not None:
            self._stage.loss(batch, index)
            return True
        return self._train(batch, index)

    @torch.no_grad()
    def lose(self, batch: Any) -> float | None:
        """The loss on a batch, in eval mode and without a step; None: there is none to be had so.

        A module that optimises by hand would step.
        """
        if self._by_hand:
            return None
        with _in_eval(self.model):
            if self._stage is not None:
                loss = self._stage.loss(batch, self._step)
                return None if loss is None else float(loss)
            assert self._objective is not None
            return float(self._objective(self.model, fresh(batch, device_of(self.model)), graph=False))

    @torch.no_grad()
    def score(self, batches: Sequence[Any]) -> dict[str, float]:
        """Means of what the module's ``validation_step`` logs of these batches; {}: it has none, or logs nothing."""
        if self._stage is None:
            return {}
        with _in_eval(self.model):
            return self._stage.score(batches)

    def peek(self, batch: Any) -> None:
        """A loss without a step: lazy layers learn their shapes from it."""
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = 0.0  # of an optimizer that steps by hand
        self._loss(batch, 0)

    def _train(self, batch: Any, index: int) -> bool:
        """Backward and step of automatic optimisation; whether there was a loss."""
        with self._context():
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

        if self._clip is not None:
            for optimizer in self.optimizers:
                self._clip(optimizer)
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
        self._losses.append(loss.detach().float().sum())
        if meter is None:
            loss.backward(*args, **kwargs)
            return
        if loss.grad_fn is not None:
            meter.backward_begins(loss.grad_fn, loss.detach().float().sum(), 1.0)
        loss.backward(*args, **kwargs)
        meter.backward_ends()
        meter.strays.look(self.optimizers, meter.names, False)
        for index, optimizer in enumerate(self.optimizers):
            meter.optimizer(index).arrives(owned_by(optimizer, index, meter.names), 1.0)

    def _begins(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        meter, index = self._meter, self._index(optimizer)
        if meter is None:
            return
        meter.optimizer(index).begins(
            lambda: owned_by(optimizer, index, meter.names), 1.0, meter.backwards, traits_of(optimizer, meter.names)
        )

    def _ends(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._meter is not None:
            self._meter.optimizer(self._index(optimizer)).ends()

    def _index(self, optimizer: Any) -> int:
        return next(index for index, one in enumerate(self.optimizers) if one is optimizer)


@contextmanager
def _in_eval(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def device_of(model: nn.Module) -> torch.device:
    """Where its first parameter lies."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
