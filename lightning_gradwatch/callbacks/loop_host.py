"""A training loop of the user's own, as the watch sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.autograd import Variable

from lightning_gradwatch import _lightning
from lightning_gradwatch.callbacks.host import Backward


class LoopHost:
    """A loop whose backward and optimizer steps the user calls.

    Args:
        model: the network.
        optimizers: torch optimizers.
        scaler: the AMP gradient scaler, if there is one.
    """

    by_hand = True
    completes_window = True  # whether the optimizer steps is seen when it does
    may_end_here = False  # nobody knows how long a loop goes on
    checks_here = False
    is_searching = False
    epoch = 0

    def __init__(self, model: Any, optimizers: list[Any], scaler: Any = None) -> None:
        self.model, self.optimizers = model, optimizers
        self.step = 0  # the batch at hand
        self.should_stop = False
        self.global_step = 0  # optimizer steps
        self._begun_at = 0
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._handles: list[Any] = []

    def open(self) -> None:
        """Count optimizer steps from now on."""
        self._handles = [optimizer.register_step_post_hook(self._count) for optimizer in self.optimizers]

    def _count(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self.global_step += 1

    def close(self) -> None:
        """Leave no hook behind."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @property
    def has_scaler(self) -> bool:
        """Whether losses are scaled."""
        return self._scaler is not None

    @property
    def loss_scale(self) -> float:
        """The scaler's scale; 1 without one."""
        return 1.0 if self._scaler is None else float(self._scaler.get_scale())

    def begins_batch(self) -> None:
        """Remember where the batch began."""
        self._begun_at = self.global_step

    @property
    def idle(self) -> bool:
        """Whether no optimizer stepped in the batch at hand, although some did before."""
        return 0 < self.global_step == self._begun_at

    def window(self, batch: int) -> tuple[int, int]:
        """How a loop accumulates is its own affair."""
        return 1, 1

    def backward(self, loss: Any) -> Backward | None:
        """The loss as it was given: what scales it comes after."""
        if loss.grad_fn is None:
            return None
        return Backward(loss.grad_fn, loss.detach().float().sum(), self.loss_scale)

    def gradient_scale(self, optimizer: Any) -> float:
        """1 once the scaler has unscaled them."""
        return _lightning.scale_left(self._scaler, optimizer)

    @property
    def engine(self) -> Any:
        """What was handed over is told by its parameters alone."""
        return self.model

    @property
    def ranks(self) -> dict[str, Any]:
        """The processes of torch.distributed, each with a loss of its own; all of them must watch."""
        parameter = next(iter(self.model.parameters()), None)
        return _lightning.processes("cpu" if parameter is None else parameter.device)

    def any_rank(self, decision: bool) -> bool:
        """A collective where there are several ranks."""
        return _lightning.any_process(decision, next(self.model.parameters()).device)

    @property
    def planned_steps(self) -> float:
        """Nobody knows but the loop."""
        return float("inf")

    def fresh_batches(self) -> Iterable[Any]:
        """A loop's data is its own."""
        return ()

    @property
    def reads_once(self) -> bool:
        """Nothing of it is read."""
        return False

    def midway(self) -> dict[str, Any]:
        """The same of what it does around a step."""
        return {}

    @property
    def is_alone(self) -> bool:
        """Whether torch.distributed knows no other process."""
        return int(self.ranks["size"]) == 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return _lightning.is_rank_zero()

    hindrance = "a loop of your own is not healed"
    holds_copy = ""

    def from_rank_zero(self, value: Any) -> Any:
        """A loop is not healed, which is all that ranks would have to agree on."""
        return value

    def edited(self) -> None:
        """The same."""

    def switched(self) -> None:
        """The same."""

    def publish(self, values: Mapping[str, float]) -> None:
        """Nothing: a loop reads the report."""

    def stop(self) -> None:
        """The loop is asked to end."""
        self.should_stop = True

    @staticmethod
    def when_done(loss: Any, call: Callable[[], None]) -> None:
        """Call back when the backward of this loss is over: the gradients are there, and nobody has clipped them yet.

        Nothing happens where the loss has no graph.
        """
        if loss.grad_fn is None:
            return

        def queue(_: Any) -> None:
            handle.remove()
            Variable._execution_engine.queue_callback(call)  # pyright: ignore[reportAttributeAccessIssue]

        handle = loss.grad_fn.register_prehook(queue)
