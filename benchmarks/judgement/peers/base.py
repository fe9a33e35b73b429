"""What the re-implemented peers share: they watch the same fit and put down when they would have rung.

The rules are written anew from their published formulas (the project's notes on peers, section 2, with thresholds
at the peers' defaults).  Conventions, the same for all peers and meant in their favour:

- An alarm is ``(step, word)``.  The step counts optimizer steps from 0.  The word is our kind of finding where the rule
  means one (vanishing, exploding, dead_units, saturation, nonfinite, stalled), or oscillating, slow, initialization.
  A rule that goes on holding rings once: only the first step of each word is kept.
- ``cause`` is our word for the first thing the peer would change, None where it names no cause.
- Peers with a cadence in epochs (Keras) get an epoch of the fit's own length, but of at most ``LONGEST_EPOCH`` steps, so
  that they are asked several times in a short fit.
- Accuracy is the training batch's, which a module may leave in ``last_accuracy``; None: rules that need it are left out.
- Kernels are trained parameters of two dimensions or more, in the order of registration; the others' order is not used.
- Gradients are those that the optimizer is about to use: unscaled, accumulated, not yet clipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

LONGEST_EPOCH = 25
RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU)
SIGMOIDAL = (nn.Sigmoid, nn.Tanh)


@dataclass
class Observed:
    """What one step showed.  Tensors are copies or detached views that are read at once and not kept."""

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

    def kernels(self, of: str = "gradients") -> dict[str, Tensor]:
        return {name: value for name, value in getattr(self, of).items() if value.dim() >= 2}


class Peer(Callback):
    """Sees every step of a fit; a subclass answers with words in ``judge`` and, at the end, in ``conclude``."""

    name = "peer"
    needs_outputs = False  # module outputs and the gradients at them: costs hooks

    def __init__(self) -> None:
        self.alarms: list[tuple[int, str]] = []
        self.cause: str | None = None
        self.epoch_length, self.epochs = LONGEST_EPOCH, 1
        self._seen = Observed(0)
        self._handles: list[Any] = []
        self._names: dict[int, str] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Peer:
        """Hooks on a copied network (an average of weights) still belong to the one peer."""
        return self

    def judge(self, seen: Observed) -> list[str]:
        """The words that hold on this step."""
        raise NotImplementedError

    def conclude(self) -> list[str]:
        """The words that hold for the whole fit, asked once at its end."""
        return []

    def names_cause(self, word: str, seen: Observed) -> str | None:
        """Our cause for what the peer advises on its first alarm."""
        return None

    def ring(self, words: list[str], seen: Observed) -> None:
        """Keeps the first step of each word, and the cause of the first alarm."""
        for word in words:
            if not self.alarms:
                self.cause = self.names_cause(word, seen)
            if word not in (known for _, known in self.alarms):
                self.alarms.append((seen.step, word))

    # --- what Lightning calls ---

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        batches = trainer.num_training_batches
        self.epoch_length = int(min(batches, LONGEST_EPOCH))
        self.epochs = max(1, round(max(trainer.max_steps, 1) / self.epoch_length))
        if self.needs_outputs:
            leaves = [
                (name, leaf) for name, leaf in pl_module.named_modules() if not any(True for _ in leaf.children())
            ]
            self._names = {id(leaf): name for name, leaf in leaves}
            self._handles = [leaf.register_forward_hook(self._output) for _, leaf in leaves]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        first = batch[0] if isinstance(batch, (list, tuple)) else batch
        self._seen.inputs = first if isinstance(first, Tensor) else None

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        self._seen.loss = float(loss.detach()) * trainer.accumulate_grad_batches / _loss_scale(trainer)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        here = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, parameter in pl_module.named_parameters():
            if id(parameter) in here and parameter.grad is not None:
                grad = parameter.grad.detach()
                self._seen.gradients[name] = (grad.to_dense() if grad.is_sparse else grad).clone()
                self._seen.weights[name] = parameter.detach().clone()
        self._seen.rate = float(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        seen = self._seen
        if not seen.gradients:  # a micro-batch, or a step without a loss
            return
        now = dict(pl_module.named_parameters())
        seen.updates = {name: now[name].detach() - old for name, old in seen.weights.items()}
        seen.accuracy = getattr(pl_module, "last_accuracy", None)
        with torch.no_grad():
            self.ring(self.judge(seen), seen)
        self._seen = Observed(seen.step + 1)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.ring(self.conclude(), Observed(max(self._seen.step - 1, 0)))
        self._remove_hooks()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._remove_hooks()

    # --- module outputs ---

    def _output(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """The first output of a leaf module in a step; the gradient at it through a hook on the tensor.

        Full backward hooks on modules would break in-place operations; a hook on the output tensor does not.
        """
        name, first = self._names.get(id(module)), output[0] if isinstance(output, tuple) else output
        if name is None or not module.training or not isinstance(first, Tensor) or name in self._seen.left:
            return
        if not torch.is_grad_enabled() or not first.is_floating_point():
            return
        self._seen.left[name] = (module, first.detach().clone())
        if inputs and isinstance(inputs[0], Tensor):
            self._seen.entered[name] = (module, inputs[0].detach().clone())
        if first.requires_grad:
            first.register_hook(_keep_norm(self._seen.deltas, name))

    def _remove_hooks(self) -> None:
        while self._handles:
            self._handles.pop().remove()


def _keep_norm(deltas: dict[str, float], name: str) -> Any:
    def hook(grad: Tensor) -> None:
        deltas.setdefault(name, grad.detach().double().norm().item())

    return hook


def _loss_scale(trainer: Any) -> float:
    scaler = getattr(trainer.strategy.precision_plugin, "scaler", None)
    return float(scaler.get_scale()) if scaler is not None and scaler.is_enabled() else 1.0


def mean_abs(tensor: Tensor) -> float:
    """Mean absolute value, 0 for an empty tensor."""
    return tensor.double().abs().mean().item() if tensor.numel() else 0.0


def is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def by_unit(activation: Tensor) -> Tensor:
    """Rows of one unit each: channels of an image, features of anything else."""
    dim = 1 if activation.dim() >= 4 else -1
    return activation.movedim(dim, 0).flatten(1) if activation.dim() >= 2 else activation.reshape(-1, 1)
