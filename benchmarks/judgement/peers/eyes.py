"""What the peers see of one step, gathered once for all peers of a fit."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU)
SIGMOIDAL = (nn.Sigmoid, nn.Tanh)


@dataclass
class Observed:
    """What one step showed.  Tensors are copies."""

    step: int
    loss: float | None = None
    accuracy: float | None = None
    rate: float = 0.0
    inputs: Tensor | None = None
    gradients: dict[str, Tensor] = field(default_factory=dict)  # parameter -> gradient
    weights: dict[str, Tensor] = field(default_factory=dict)  # parameter -> value before the step
    updates: dict[str, Tensor] = field(default_factory=dict)  # parameter -> what the step added
    entered: dict[str, tuple[nn.Module, Tensor]] = field(default_factory=dict)  # leaf module -> its input
    left: dict[str, tuple[nn.Module, Tensor]] = field(default_factory=dict)  # leaf module -> its output
    deltas: dict[str, float] = field(default_factory=dict)  # leaf module -> norm of dL/d(output)
    _known: dict[Any, Any] = field(default_factory=dict)

    def kernels(self) -> list[str]:
        """Names of the trained parameters of two dimensions or more."""
        return [name for name, gradient in self.gradients.items() if gradient.dim() >= 2]

    def norms(self, of: str) -> dict[str, float]:
        """L2 norm of each of the ``gradients``, ``weights`` or ``updates``, summed in float64."""
        return self._norms(of, 2)

    def means(self, of: str) -> dict[str, float]:
        """Mean absolute value of each."""
        if (of, 0) not in self._known:
            tensors, totals = getattr(self, of), self._norms(of, 1)
            self._known[of, 0] = {name: total / max(1, tensors[name].numel()) for name, total in totals.items()}
        return self._known[of, 0]

    def once(self, key: str, ask: Callable[[], Any]) -> Any:
        """What two peers ask of the same step is answered once."""
        if key not in self._known:
            self._known[key] = ask()
        return self._known[key]

    def is_finite(self) -> bool:
        """Whether all weights and gradients are."""
        values = [*self._norms("gradients", 1).values(), *self._norms("weights", 1).values()]
        return all(value < float("inf") for value in values)

    def _norms(self, of: str, order: int) -> dict[str, float]:
        if (of, order) not in self._known:
            tensors = getattr(self, of)
            norms = torch._foreach_norm(list(tensors.values()), order, dtype=torch.float64) if tensors else []
            values = torch.stack(list(norms)).tolist() if norms else []
            self._known[of, order] = dict(zip(tensors, values, strict=True))
        return self._known[of, order]


# Whose fit is being watched; gone with the trainer.
_OPEN: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


class Eyes:
    """Reads one fit: gradients before the optimizer's step, updates after it, leaf modules and the gradients there."""

    def __init__(self, trainer: Any, pl_module: Any, owner: Any) -> None:
        self.owner = owner
        self.seen: Observed | None = None  # a finished step
        self._next = Observed(0)
        leaves = [(name, leaf) for name, leaf in pl_module.named_modules() if not any(True for _ in leaf.children())]
        self.names = {id(leaf): name for name, leaf in leaves}
        self._handles = [leaf.register_forward_hook(self._output) for _, leaf in leaves]

    @classmethod
    def of(cls, trainer: Any, pl_module: Any, owner: Any) -> Eyes:
        """The eyes of a fit; the first who asks owns them, and moves them."""
        if trainer not in _OPEN:
            _OPEN[trainer] = cls(trainer, pl_module, owner)
        return _OPEN[trainer]

    def __deepcopy__(self, memo: dict[int, Any]) -> Eyes:
        """Hooks on a copied network (an average of weights) look up names here, and find none."""
        return self

    def open(self, batch: Any) -> None:
        """A batch begins."""
        first = batch[0] if isinstance(batch, list | tuple) and len(batch) else batch
        self._next.inputs = first if isinstance(first, Tensor) else None

    def see_loss(self, trainer: Any, loss: Tensor) -> None:
        scaler = getattr(trainer.strategy.precision_plugin, "scaler", None)
        scale = float(scaler.get_scale()) if scaler is not None and scaler.is_enabled() else 1.0
        self._next.loss = float(loss.detach()) * trainer.accumulate_grad_batches / scale

    def see_gradients(self, pl_module: Any, optimizer: Any) -> None:
        here = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, parameter in pl_module.named_parameters():
            if id(parameter) in here and parameter.grad is not None:
                gradient = parameter.grad.detach()
                self._next.gradients[name] = gradient.to_dense() if gradient.is_sparse else gradient.clone()
                self._next.weights[name] = parameter.detach().clone()
        self._next.rate = float(optimizer.param_groups[0]["lr"])

    def see_updates(self, pl_module: Any) -> None:
        """A batch ends; ``seen`` is the step, or None where no optimizer stepped."""
        self.seen = None
        if not self._next.gradients:
            return
        now = dict(pl_module.named_parameters())
        self._next.updates = {name: now[name].detach() - old for name, old in self._next.weights.items()}
        self._next.accuracy = getattr(pl_module, "last_accuracy", None)
        self.seen, self._next = self._next, Observed(self._next.step + 1)

    def close(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _output(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """The first output of a leaf module in a step, and the gradient at it.

        Full backward hooks on modules would break in-place operations; a hook on the output tensor does not.
        """
        name, first = self.names.get(id(module)), output[0] if isinstance(output, tuple) else output
        if name is None or name in self._next.left or not torch.is_grad_enabled() or not module.training:
            return
        if not isinstance(first, Tensor) or not first.is_floating_point():
            return
        self._next.left[name] = (module, first.detach().clone())
        if inputs and isinstance(inputs[0], Tensor):
            self._next.entered[name] = (module, inputs[0].detach().clone())
        if first.requires_grad:
            first.register_hook(_keep_norm(self._next.deltas, name))


def _keep_norm(deltas: dict[str, float], name: str) -> Any:
    def hook(grad: Tensor) -> None:
        deltas.setdefault(name, grad.detach().double().norm().item())

    return hook


def by_unit(activation: Tensor) -> Tensor:
    """Rows of one unit each: channels of an image, features of anything else."""
    dim = 1 if activation.dim() >= 4 else -1
    return activation.movedim(dim, 0).flatten(1) if activation.dim() >= 2 else activation.reshape(-1, 1)
