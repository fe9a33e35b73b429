"""The stretch of a network from one layer's input to the next layer's: the layer, its norm, its activation, a pooling.

Found by running the network: whatever its code does on the way, modules or functions, is done.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from lightning_gradwatch.remedies.surgery.unlabelled import compute

# What has weights of its own: where a stretch ends.
WEIGHTED = (nn.Linear, nn.Bilinear, _ConvNd, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


class _Arrived(BaseException):
    """Ends a pass at the next layer; no ``except Exception`` of the user's stops it."""

    def __init__(self, value: Any = None) -> None:
        super().__init__()
        self.value = value  # what it is given


def calls(model: nn.Module, batch: Any) -> dict[nn.Module, int]:
    """The layers with weights in the order in which they compute, and how often each does.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
        >>> [times for _, times in calls(model, torch.ones(3, 2)).items()]
        [1, 1]
    """
    counted: dict[nn.Module, int] = {}

    def count(module: nn.Module, args: Any) -> None:
        counted[module] = counted.get(module, 0) + 1

    with ExitStack() as stack, torch.no_grad():
        for module in _weighted(model):
            stack.callback(module.register_forward_pre_hook(count).remove)
        compute(model, batch)
    return counted


class Segment:
    """One layer and what follows it up to the next; a context, in which the network is listened to.

    Only this stretch records a graph; below it nothing does, and beyond it nothing is computed.

    Args:
        model: the network.
        layer: one of its layers.
        corrupt: makes of the layer's input what it is given instead.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        >>> with Segment(model, model[0], lambda x: 0 * x) as segment:
        ...     code = segment.run(torch.ones(4, 2))
        >>> segment.input.shape, segment.output, torch.equal(code[0], model[0].bias.tanh())
        (torch.Size([4, 2]), torch.Size([4, 3]), True)
    """

    def __init__(self, model: nn.Module, layer: nn.Module, corrupt: Callable[[Tensor], Tensor]) -> None:
        self.model, self.layer, self.corrupt = model, layer, corrupt
        self.input: Tensor | None = None  # of the layer, clean
        self.output: torch.Size | None = None  # of the layer, its shape
        self.follower: nn.Module | None = None  # the next layer
        self._stack = ExitStack()

    def __enter__(self) -> Segment:
        self._stack.callback(self.layer.register_forward_pre_hook(self._enters).remove)
        self._stack.callback(self.layer.register_forward_hook(self._leaves).remove)
        for module in _weighted(self.model):
            if module is not self.layer:
                self._stack.callback(module.register_forward_pre_hook(self._arrives).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, batch: Any) -> Tensor | None:
        """What the next layer is given, with the graph from this layer's input on; None: nothing that depends on it."""
        self.input = self.output = None
        with torch.no_grad():
            try:
                compute(self.model, batch)
            except _Arrived as arrived:
                return arrived.value
        return None

    def _enters(self, module: nn.Module, args: Any) -> Any:
        if not args or not isinstance(args[0], Tensor):
            raise _Arrived
        self.input = clean = args[0].detach()
        torch.set_grad_enabled(True)  # taken back where the pass ends
        return (self.corrupt(clean), *args[1:])

    def _leaves(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self.output = output.shape

    def _arrives(self, module: nn.Module, args: Any) -> None:
        if self.output is not None and args and isinstance(args[0], Tensor) and args[0].requires_grad:
            self.follower = module
            raise _Arrived(args[0])


def bypassed(model: nn.Module, batch: Any, layer: nn.Module, follower: nn.Module) -> bool:
    """Whether what the next layer is given depends on more than this layer: a skip connection.

    Such a stretch need learn nothing to tell its input.

    Args:
        model: the network.
        batch: a batch.
        layer: the layer.
        follower: the next one, as ``Segment.follower`` found it.

    Example:
        >>> class Skip(nn.Sequential):
        ...     def forward(self, x):
        ...         return self[1](x + self[0](x))
        >>> bypassed(skip := Skip(nn.Linear(2, 2), nn.Linear(2, 1)), torch.ones(3, 2), skip[0], skip[1])
        True
    """
    sources: list[Tensor] = []

    def source(value: Any) -> Any:
        """The same numbers, of which is told whether anything was computed from them."""
        if isinstance(value, Tensor) and value.is_floating_point():
            sources.append(value.detach().requires_grad_())
            return sources[-1] * 1.0  # a leaf itself may not be changed in place
        if type(value) in (list, tuple):
            return type(value)(source(item) for item in value)
        return {key: source(item) for key, item in value.items()} if type(value) is dict else value

    def gives(module: nn.Module, args: Any, output: Any) -> Any:
        return output.detach() if module is layer else source(output)

    def arrives(module: nn.Module, args: Any) -> None:
        raise _Arrived(args[0])  # the same that a Segment has met: it is a tensor

    with ExitStack() as stack, torch.enable_grad():
        stack.callback(follower.register_forward_pre_hook(arrives).remove)
        for module in _weighted(model, nn.Embedding, nn.EmbeddingBag):
            stack.callback(module.register_forward_hook(gives).remove)
        try:
            compute(model, source(batch))
        except _Arrived as arrived:
            given: Tensor = arrived.value
            if not given.requires_grad:
                return False
            found = torch.autograd.grad(given.float().sum(), sources, allow_unused=True)
            return any(gradient is not None for gradient in found)
    return False


def _weighted(model: nn.Module, *more: type[nn.Module]) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, (*WEIGHTED, *more))]
