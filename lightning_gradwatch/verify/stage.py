"""Lets a LightningModule run its ``training_step`` where there is no Trainer."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lightning_gradwatch.verify.batches import fresh


def is_module(model: Any) -> bool:
    """Whether it is a LightningModule, of either Lightning."""
    return hasattr(model, "training_step") and hasattr(model, "configure_optimizers")


class NoTrainer:
    """What ``self.trainer`` is meanwhile: the facts of a fit's beginning, and a logger that swallows everything."""

    is_global_zero = training = True
    sanity_checking = validating = testing = predicting = should_stop = fast_dev_run = False
    current_epoch = global_step = global_rank = local_rank = node_rank = 0
    world_size = num_nodes = num_devices = accumulate_grad_batches = max_epochs = 1
    gradient_clip_val = gradient_clip_algorithm = checkpoint_callback = None
    datamodule: Any = None

    def __init__(self, module: Any, steps: int) -> None:
        self.lightning_module, self.model, self.logger = module, module, _Silent()
        self.max_steps = self.num_training_batches = self.estimated_stepping_batches = steps
        self.optimizers: list[Any] = []
        self.loggers: list[Any] = [self.logger]
        self.callbacks: list[Any] = []
        self.callback_metrics: dict[str, Any] = {}
        self.logged_metrics: dict[str, Any] = {}

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """In place of ``self.log``: kept, not logged."""
        self.logged_metrics[name] = value

    def log_dict(self, values: Any, *args: Any, **kwargs: Any) -> None:
        """In place of ``self.log_dict``."""
        self.logged_metrics.update(values)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"copies run training_step without a Trainer, so that self.trainer.{name} is not there: give loss=, a "
            "function of the output and the batch, where it is taken, or try the network inside the module"
        )


class _Silent:
    """Takes any call and says nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> _Silent:
        return self


def set_up(module: Any, steps: int, data: Any = None, *, ready: bool = False) -> None:
    """What a fit does before it asks for optimizers: parts that are made late are made now.

    Args:
        module: the LightningModule; it stays on its stage, which no copy of it does.
        steps: how many steps there will be.
        data: what it is trained on.
        ready: whether a fit has made its parts already: made again, they would have other weights.
    """
    _attach(module, steps).datamodule = data if hasattr(data, "train_dataloader") else None
    for hook, arguments in () if ready else (("configure_model", ()), ("setup", ("fit",))):
        getattr(module, hook)(*arguments)


@dataclass(frozen=True, kw_only=True)
class Midway:
    """A fit that a copy was taken from in its middle: its optimizers' copies, and where it stands."""

    optimizers: Sequence[Any]
    step: int = 0
    epoch: int = 0
    context: Callable[[], Any] = nullcontext  # in which the network computes: autocast
    schedulers: int = 0  # which training_step may ask for: copies have none, their rates stay
    clip: Callable[[Any], None] | None = None  # what the Trainer does to the gradients of an optimizer before it steps


class Stage:
    """One copy of a LightningModule on its stage; it never leaves it.

    Args:
        module: the copy.
        steps: how many steps there will be.
        backward: what ``self.manual_backward`` does.
        midway: the fit whose middle it stands in, with batches as its ``training_step`` gets them; None: at the
            beginning of one, with batches as the loader gives them.
    """

    def __init__(self, module: Any, steps: int, backward: Callable[..., None], midway: Midway | None = None) -> None:
        self.module, self.trouble, self._midway = module, "", midway
        self._trainer = _attach(module, steps)
        if midway is None:
            self.optimizers, self._schedulers = self._configured()
        else:
            self.optimizers, self._schedulers = list(midway.optimizers), [_Silent()] * midway.schedulers
            self._trainer.global_step, self._trainer.current_epoch = midway.step, midway.epoch
        self._trainer.optimizers = self.optimizers
        module.manual_backward = backward
        module.optimizers = lambda use_pl_optimizer=True: _one_or_all(self.optimizers)
        module.lr_schedulers = lambda: _one_or_all(self._schedulers)
        module.clip_gradients = self._clip
        if midway is None:  # else they have been called
            module.on_train_start()
            module.on_train_epoch_start()

    def _configured(self) -> tuple[list[Any], list[Any]]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is not implemented: the fit itself will say so
                found = list(_leaves(self.module.configure_optimizers()))
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
            found = []
        optimizers = [one for one in found if isinstance(one, torch.optim.Optimizer)]
        self.trouble = self.trouble or ("" if optimizers else "it gave none")
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = group.get("initial_lr", group["lr"])  # a warm-up's first rates move nothing
        return optimizers, [one for one in found if hasattr(one, "optimizer") and one not in optimizers]

    def loss(self, batch: Any, index: int) -> Any:
        """What ``training_step`` gives; None: it left the batch out."""
        module = self.module
        batch = self._moved(batch)
        module.on_train_batch_start(batch, index)
        made = self._handed(module.training_step, batch, index)
        return made.get("loss") if isinstance(made, dict) else made

    @staticmethod
    def _handed(step: Callable[..., Any], batch: Any, index: int) -> Any:
        takes_index = len(inspect.signature(step).parameters) > 1
        return step(*((batch, index) if takes_index else (batch,)))

    def _moved(self, batch: Any) -> Any:
        module = self.module
        if self._midway is not None:
            return fresh(batch)
        batch = module.on_before_batch_transfer(fresh(batch), 0)
        return module.on_after_batch_transfer(module.transfer_batch_to_device(batch, module.device, 0), 0)

    def score(self, batches: Sequence[Any]) -> dict[str, float]:
        """Means of what ``validation_step`` logs of these batches; {} where it cannot be run here."""
        means: dict[str, float] = {}
        logged = self._trainer.logged_metrics
        try:
            for index, batch in enumerate(batches):
                logged.clear()
                self._handed(self.module.validation_step, self._moved(batch), index)
                for name, value in logged.items():
                    number = value.compute() if hasattr(value, "compute") else value
                    means[name] = means.get(name, 0.0) + float(number) / len(batches)
        except Exception:  # the user's own code, in a situation that it was not made for
            return {}
        return means

    @staticmethod
    def _clip(optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None) -> None:
        owned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if gradient_clip_val and gradient_clip_algorithm == "value":
            nn.utils.clip_grad_value_(owned, gradient_clip_val)
        elif gradient_clip_val:
            nn.utils.clip_grad_norm_(owned, gradient_clip_val)


def _attach(module: Any, steps: int) -> NoTrainer:
    trainer = NoTrainer(module, steps)
    module.trainer = trainer
    for part in module.modules():
        if is_module(part):
            part.log, part.log_dict = trainer.log, trainer.log_dict
    return trainer


def _leaves(made: Any) -> Any:
    """Optimizers and schedulers in any form that ``configure_optimizers`` may give them."""
    if isinstance(made, dict):
        made = list(made.values())
    if isinstance(made, (list, tuple)):
        for item in made:
            yield from _leaves(item)
    else:
        yield made


def _one_or_all(found: list[Any]) -> Any:
    """As Lightning gives them."""
    return found[0] if len(found) == 1 else found or None
