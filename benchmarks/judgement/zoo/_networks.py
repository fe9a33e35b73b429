"""What the labelled fits are made of: one LightningModule, and small builders of networks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from fit import Setup
from torch import nn
from torch.nn.functional import cross_entropy
from zoo._data import digits

from lightning_gradwatch._lightning import namespace

lightning = namespace()
Optimizer = Callable[[Any], Any]

adam = functools.partial(functools.partial, torch.optim.Adam)  # adam(lr=1e-3)
sgd = functools.partial(functools.partial, torch.optim.SGD)
adamw = functools.partial(functools.partial, torch.optim.AdamW)


class Learner(lightning.LightningModule):
    """Trains ``network`` on a loss of its answer and the target; ``choose`` picks the parameters that are trained."""

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[..., torch.Tensor] = cross_entropy,
        optimizer: Optimizer | None = None,
        choose: Callable[[nn.Module], Any] = nn.Module.parameters,
        scheduler: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.loss, self.choose, self.scheduler = network, loss, choose, scheduler
        self.make = optimizer or adam(lr=1e-3)
        self.last_loss: float | None = None  # of the last batch, as is the accuracy: peers read them
        self.last_accuracy: float | None = None

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        *inputs, target = batch
        answer = self.network(*inputs)
        loss = self.loss(answer, target)
        self.last_loss, self.last_accuracy = float(loss.detach()), _right(answer, target)
        return loss

    def right(self, batch: Any) -> float | None:
        """Share of right answers where they are classes."""
        *inputs, target = batch
        dtype = next(self.network.parameters()).dtype
        with torch.no_grad():
            answer = self.network(*(x.to(dtype) if x.is_floating_point() else x for x in inputs))
        return _right(answer, target)

    def configure_optimizers(self) -> Any:
        optimizer = self.make(list(self.choose(self.network)))
        if self.scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"}}


def _right(answer: Any, target: torch.Tensor) -> float | None:
    if not isinstance(answer, torch.Tensor) or target.is_floating_point() or answer.shape[-1] == 1:
        return None
    return float((answer.detach().argmax(-1) == target).float().mean())


class Functional(nn.Module):
    """Linear layers with an activation that is no module."""

    def __init__(self, layers: Sequence[nn.Module], act: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layers, self.act = nn.ModuleList(layers), act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *hidden, head = self.layers
        for layer in hidden:
            x = self.act(layer(x))
        return head(x)


class HeadFirst(nn.Module):
    """Registers its head before its layers, which it registers in reverse."""

    def __init__(self, layers: Sequence[nn.Module], act: nn.Module) -> None:
        super().__init__()
        self.head = layers[-1]
        self.stack = nn.ModuleList(layers[-2::-1])
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in reversed(self.stack):
            x = self.act(layer(x))
        return self.head(x)


class Residual(nn.Module):
    """x + scale * block(x)."""

    def __init__(self, block: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.block, self.scale = block, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.block(x)


class Branches(nn.Module):
    """Two branches over the same input whose answers are joined by a head."""

    def __init__(self, one: nn.Module, other: nn.Module, width: int, classes: int = 10) -> None:
        super().__init__()
        self.one, self.other, self.head = one, other, nn.Linear(2 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.one(x), self.other(x)], 1))


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def linears(depth: int, width: int = 64, features: int = 64, classes: int = 10) -> list[nn.Module]:
    """``depth`` hidden layers and a head."""
    return [nn.Linear(features if i == 0 else width, width) for i in range(depth)] + [nn.Linear(width, classes)]


def mlp(
    depth: int,
    act: Callable[[], nn.Module],
    width: int = 64,
    features: int = 64,
    classes: int = 10,
    *,
    between: Callable[[int], nn.Module] | None = None,
) -> nn.Sequential:
    """``depth`` hidden layers, each followed by ``between(width)`` where given and the activation, and a head."""
    *hidden, head = linears(depth, width, features, classes)
    modules: list[nn.Module] = []
    for layer in hidden:
        modules += [layer, *([between(width)] if between else []), act()]
    return nn.Sequential(*modules, head)


def cnn(depth: int, act: Callable[[], nn.Module], width: int = 12) -> nn.Sequential:
    """``depth`` 3x3 convolutions over 8x8 pixels and a head."""
    modules: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    for i in range(depth):
        modules += [nn.Conv2d(width if i else 1, width, 3, padding=1), act()]
    return nn.Sequential(*modules, nn.Flatten(), nn.Linear(width * 64, 10))


def draw(network: nn.Module, how: Callable[[torch.Tensor], Any], bias: float | None = 0.0) -> Any:
    """Draws the weight of every layer that has a matrix anew and sets its bias."""
    for layer in network.modules():
        weight = getattr(layer, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.dim() > 1:
            with torch.no_grad():
                how(weight)
            if bias is not None and getattr(layer, "bias", None) is not None:
                nn.init.constant_(layer.bias, bias)
    return network


def he(network: nn.Module) -> Any:
    return draw(network, functools.partial(nn.init.kaiming_normal_, nonlinearity="relu"))


def xavier(network: nn.Module) -> Any:
    return draw(network, nn.init.xavier_normal_)


def normal(network: nn.Module, std: float) -> Any:
    return draw(network, functools.partial(nn.init.normal_, std=std))


def on_digits(
    network: Callable[[], nn.Module],
    callbacks: Callable[[], Sequence[Any]] = tuple,
    loader: Callable[[int], Any] = digits,
    trainer: dict[str, Any] | None = None,
    **learner: Any,
) -> Callable[[int], Setup]:
    """A builder of a fit of a classifier, of digits unless another loader is given."""
    return lambda seed: Setup(
        module=Learner(network(), **learner), loader=loader(seed), callbacks=callbacks(), trainer=trainer or {}
    )


class At(lightning.Callback):
    """Does something to the module once, before the batch of one step."""

    def __init__(self, step: int, act: Callable[[Any], Any]) -> None:
        self.step, self.act = step, act

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                self.act(pl_module)


class AtBatch(At):
    """Does something to the batch of one step."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            self.act(batch)
