"""What a plain network is trained on: its output for a batch, and a loss that suits the targets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.verify import notes

# The keys under which a dict of a batch has its targets.
TARGETS = ("labels", "label", "targets", "target", "y")

Loss = Callable[[Any, Any], Tensor]


class Objective:
    """The loss of a network on a batch.

    Args:
        loss: gives it from the output and the batch; None: one that suits the targets.
    """

    def __init__(self, loss: Loss | None = None) -> None:
        self.loss = loss
        self.said: list[str] = []  # what was assumed

    def __call__(self, model: nn.Module, batch: Any, *, graph: bool = True) -> Tensor:
        """The loss, a scalar; with a graph, unless it is asked for without one.

        Raises:
            WrongArgument: there is none that suits, or the one given is not such a scalar.
        """
        inputs, target = divided(batch)
        output = _output(model, inputs, batch)
        if self.loss is not None:
            return scalar(self.loss(output, batch), graph=graph)
        own = _part(output, ("loss",))
        if own is not None and own.dim() == 0:
            return scalar(own, graph=graph)
        scores = output if isinstance(output, Tensor) else _part(output, ("logits", "output", "last_hidden_state"))
        if scores is None:
            raise WrongArgument("loss", "given where the output is not a tensor", None)
        value, name, why = usual(scores, target)
        if (note := notes.assumed(name, why)) not in self.said:
            self.said.append(note)
        return scalar(value, graph=graph)


def scalar(loss: Any, *, graph: bool = True) -> Tensor:
    """The loss, if it is one.

    Args:
        loss: what a network or a ``training_step`` gave.
        graph: whether it must have one.

    Raises:
        WrongArgument: it is no scalar tensor that depends on a parameter.
    """
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        shape = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise WrongArgument("loss", "a tensor of one element", shape)
    if graph and loss.grad_fn is None:
        raise WrongArgument("loss", "computed from the network's parameters", "a tensor without a graph")
    return loss


def divided(batch: Any) -> tuple[Any, Any]:
    """The inputs and the targets of a batch; None where it has none.

    Example:
        >>> divided(("x", "y")), divided({"x": 1, "labels": 2})
        (('x', 'y'), ({'x': 1}, 2))
    """
    if isinstance(batch, Mapping):
        key = next((key for key in TARGETS if key in batch), None)
        return {k: v for k, v in batch.items() if k != key}, batch[key] if key is not None else None
    if isinstance(batch, (tuple, list)) and batch:
        *inputs, target = batch if len(batch) > 1 else (*batch, None)
        return inputs[0] if len(inputs) == 1 else tuple(inputs), target
    return batch, None if isinstance(batch, Tensor) else getattr(batch, "y", None)


def _output(model: nn.Module, inputs: Any, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        taken = _accepted(model, batch)
        return model(inputs) if taken is None else model(**taken)
    return model(*inputs) if type(inputs) in (tuple, list) else model(inputs)


def _accepted(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, Any] | None:
    """What of the batch ``forward`` takes by name, its targets too; None: it takes the batch as a whole."""
    parameters = inspect.signature(model.forward).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return {str(key): value for key, value in batch.items()}
    wanted = [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    named = {p.name: batch[p.name] for p in parameters if p.name in batch}
    return named if all(name in named for name in wanted) else None


def _part(output: Any, names: Iterable[str]) -> Tensor | None:
    """A tensor of an output that holds several: by its name, else the first."""
    for name in names:
        found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(found, Tensor) and not isinstance(output, Tensor):
            return found
    first = output[0] if isinstance(output, (tuple, list)) and output and "loss" not in names else None
    return first if isinstance(first, Tensor) else None


def usual(output: Tensor, target: Any) -> tuple[Tensor, str, str]:
    """A loss that suits the targets, its name, and why.

    Raises:
        WrongArgument: none does.
    """
    if not isinstance(target, Tensor):
        return output.square().sum(), "the sum of squares of the output", "the batch has no targets"
    classes = _classes(output, target)
    if classes is not None:
        return functional.cross_entropy(classes, target.long()), "cross entropy", "the targets are whole numbers"
    if output.numel() != target.numel():
        shapes = f"an output of shape {tuple(output.shape)} and targets of shape {tuple(target.shape)}"
        raise WrongArgument("loss", "given where output and targets fit none of the usual losses", shapes)
    wanted = target.reshape(output.shape).to(output.dtype)
    if bool(((wanted == 0) | (wanted == 1)).all()):
        value = functional.binary_cross_entropy_with_logits(output, wanted)
        return value, "binary cross entropy with logits", "the targets are 0 and 1"
    return functional.mse_loss(output, wanted), "the mean squared error", "the targets are numbers"


def _classes(output: Tensor, target: Tensor) -> Tensor | None:
    """The output with its classes in dimension 1, as cross entropy wants it; None: the targets are no classes."""
    if target.is_floating_point() or target.is_complex() or output.dim() != target.dim() + 1:
        return None
    shape = tuple(target.shape)
    if output.dim() == 1 or (*output.shape[:1], *output.shape[2:]) == shape:
        return output if output.dim() == 1 or output.shape[1] > 1 else None
    return output.movedim(-1, 1) if tuple(output.shape[:-1]) == shape else None
