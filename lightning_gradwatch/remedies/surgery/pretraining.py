"""Layers learn one after the other to tell their own input from a corrupted one: greedy denoising autoencoders.

Of Vincent et al. (2010), section 3, with the order of Bengio et al. (2007): layer k learns on what the layers below it,
which have learnt already, make of the training data.  No label is looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.conv import _ConvNd

from lightning_gradwatch import _lightning
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.surgery.decoding import decoder_for
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.ground import has_company
from lightning_gradwatch.remedies.surgery.segment import Segment, bypassed, calls
from lightning_gradwatch.remedies.surgery.unlabelled import on_device_of

PRETRAINED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# The loss at the end is the mean of so many last steps.
_LAST = 10


@dataclass(frozen=True)
class Plan:
    """How each layer is pretrained."""

    steps: int
    noise: float  # the share of a layer's input that is replaced by its mean
    rate: float  # of Adam
    tell: Callable[[str, int, Callable[[], float]], None]  # layer, step, its loss where anybody asks


def pretrain(edit: Edit, plan: Plan) -> None:
    """Pretrain the hidden layers of a network in place; buffers and gradients are as they were afterwards."""
    if edit.batches is None:
        edit.leave("There are no training batches here: it is done at the start of a fit, or by apply(batches=...).")
        return
    device = next((p.device for p in edit.model.parameters()), torch.device("cpu"))
    with closing(_stream(edit)) as batches, _as_before(edit.model):
        order, why = _order(edit.model, batches)
        if _lightning.any_process(bool(why), device):
            edit.leave(why or "On another rank the network could not be run on a batch.")
            return
        for name, layer in _hidden(edit, order):
            told = _Learning(edit.model, layer, plan, name).on(batches, device)
            if told.failed:
                edit.leave(f"{name}: {told.failed}")
            else:
                edit.change(
                    name, f"{name}: error of reconstruction {told.first:.2f} -> {told.last:.2f} of the variance."
                )


def _stream(edit: Edit) -> Generator[Any, None, None]:
    """Training batches without end, those of a next pass after those of one; copies where the network is."""
    assert edit.batches is not None
    for passes in itertools.count():
        empty = True
        for batch in edit.batches():
            empty = False
            yield on_device_of(edit.model, batch)
        if empty and passes:
            raise WrongArgument("batches", "a function that gives the batches anew at every call", "none at the second")
        if empty:
            return


def _order(model: nn.Module, batches: Iterator[Any]) -> tuple[dict[nn.Module, int], str]:
    """The layers in the order in which they compute, and how often each does; or why nobody knows."""
    batch = next(batches, None)
    if batch is None:
        return {}, "There is no training batch that could be read before the fit reads it."
    try:
        return calls(model, batch), ""
    except Exception as error:  # the user's own code, run without labels
        return {}, f"The network could not be run on the inputs alone: {type(error).__name__}: {error}."


def _hidden(edit: Edit, order: dict[nn.Module, int]) -> Iterator[tuple[str, nn.Module]]:
    """All layers that were asked for but the last, in order of computing."""
    names = {id(module): name for name, module in edit.modules}
    for module in list(order)[:-1]:
        if isinstance(module, PRETRAINED) and id(module) in names:
            name = names[id(module)]
            if why := _hindered(edit.model, module, order[module]):
                edit.leave(f"{name}: {why}")
            else:
                yield name, module


def _hindered(model: nn.Module, layer: nn.Module, times: int) -> str:
    if times > 1:
        return f"it computes {times} times in one pass, so that it has no one input."
    if not all(parameter.requires_grad for parameter in layer.parameters()):
        return "it is frozen."
    own = {id(parameter) for parameter in layer.parameters()}
    inside = {id(module) for module in layer.modules()}
    others = (module for module in model.modules() if id(module) not in inside)
    if any(id(p) in own for module in others for p in module._parameters.values()):
        return "it shares weights with another layer."
    return ""


@dataclass
class _Told:
    first: float = 0.0
    last: float = 0.0
    failed: str = ""


class _Learning:
    """One layer while it learns."""

    def __init__(self, model: nn.Module, layer: nn.Module, plan: Plan, name: str) -> None:
        self.model, self.layer, self.plan, self.name = model, layer, plan, name
        self.axis = 1 if isinstance(layer, _ConvNd) else -1  # of features

    def on(self, batches: Iterator[Any], device: torch.device) -> _Told:
        """Learn; a layer that has not come closer to its input has its old weights again."""
        segment, batch = Segment(self.model, self.layer, self._corrupted), next(batches)
        with segment:
            code = segment.run(batch)
        decoder, why = self._begin(segment, batch, code)
        if _lightning.any_process(bool(why), device):
            return _Told(failed=why or "it cannot learn on another rank.")
        if not self._scaled(segment.input):
            return _Told(failed="its input is the same for every sample.")
        assert decoder is not None
        taught = self._taught(code)
        before = [parameter.detach().clone() for parameter in taught]
        with segment:
            losses = self._steps(segment, batches, decoder, taught)
        first, last = float(losses[0]), float(torch.stack(losses[-_LAST:]).mean())
        if last < first:
            return _Told(first, last)
        with torch.no_grad():
            for parameter, values in zip(taught, before, strict=True):
                parameter.copy_(values)
        return _Told(failed=f"its error of reconstruction did not fall ({first:.2g} -> {last:.2g}); it is as it was.")

    def _begin(self, segment: Segment, batch: Any, code: Tensor | None) -> tuple[nn.Module | None, str]:
        """A decoder, or why there is none; nothing here waits for other ranks."""
        given, gave, follower = segment.input, segment.output, segment.follower
        if code is None or given is None or gave is None or follower is None:
            return None, "no other layer is given what it makes."
        if bypassed(self.model, batch, self.layer, follower):
            return None, "a skip connection leads around it, which tells the next layer its input anyway."
        decoder = decoder_for(self.layer, given.shape, gave, code)
        if decoder is None:
            return None, f"nothing leads back from {tuple(code.shape)} to {tuple(given.shape)} at a fair price."
        return decoder, ""

    def _scaled(self, given: Tensor | None) -> bool:
        """The centre and the scale of what is to be told, those of the first batch; whether it varies at all."""
        assert given is not None
        self.centre = self._mean(given)
        self.spread = (given - self._placed(self.centre, given)).square().mean()
        for value in (self.centre, self.spread):
            _averaged(value)
        return bool(self.spread > 0)

    def _taught(self, code: Tensor | None) -> list[nn.Parameter]:
        """The trainable parameters that the code depends on: of the layer, its norm, its activation."""
        assert code is not None
        every = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        found = torch.autograd.grad(code.float().sum(), every, allow_unused=True)
        return [parameter for parameter, gradient in zip(every, found, strict=True) if gradient is not None]

    def _steps(
        self, segment: Segment, batches: Iterator[Any], decoder: nn.Module, taught: Sequence[nn.Parameter]
    ) -> list[Tensor]:
        learning = [*taught, *decoder.parameters()]
        optimizer = torch.optim.Adam(learning, lr=self.plan.rate)
        losses: list[Tensor] = []
        for step in range(self.plan.steps):
            loss = self._loss(segment, next(batches), decoder)
            gradients = torch.autograd.grad(loss, learning)
            told = loss.detach().float()
            for value in (*gradients, told):
                _averaged(value)
            for parameter, gradient in zip(learning, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
            losses.append(told)
            self.plan.tell(self.name, step, told.item)
        return losses

    def _loss(self, segment: Segment, batch: Any, decoder: nn.Module) -> Tensor:
        """Mean squared error of the reconstruction over the variance of the input: 1 is what a constant reaches."""
        code, clean = segment.run(batch), segment.input
        assert code is not None
        assert clean is not None
        with torch.enable_grad():
            wanted = (clean - self._placed(self.centre, clean)) / self.spread.sqrt()
            return nn.functional.mse_loss(decoder(code), wanted)

    def _corrupted(self, x: Tensor) -> Tensor:
        """Masking noise, with the mean in place of zero: behind a sigmoid zero would be no gap but an extreme."""
        hidden = torch.rand_like(x) < self.plan.noise
        return torch.where(hidden, self._placed(self._mean(x), x), x)

    def _mean(self, x: Tensor) -> Tensor:
        """Of each feature."""
        return x.movedim(self.axis, -1).flatten(0, -2).mean(0)

    def _placed(self, features: Tensor, x: Tensor) -> Tensor:
        """A value for each feature, where ``x`` has it."""
        shape = [1] * x.dim()
        shape[self.axis] = -1
        return features.reshape(shape)


def _averaged(value: Tensor) -> None:
    """Over the ranks that train together: each has its own batches, all get the same weights."""
    if has_company():
        distributed.all_reduce(value)
        value /= distributed.get_world_size()


@contextmanager
def _as_before(model: nn.Module) -> Iterator[None]:
    """Afterwards buffers (running statistics) and gradients are as they were: the fit begins with its own."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for buffer, values in buffers:
            buffer.data.copy_(values)
        for parameter, gradient in gradients:
            parameter.grad = gradient
