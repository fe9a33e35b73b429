"""Who trains: the one place that says which gradients, of which optimizer, at what scale, at which real step.

Everything else asks a host and knows no trainer: ``trainer_host.TrainerHost`` is a Lightning fit,
``loop_host.LoopHost`` a loop of the user's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Backward:
    """One backward that is about to start."""

    root: Any  # the autograd node of the user's own loss
    loss: Any  # the value of that loss, a 0-d tensor
    scale: float  # what the loss is multiplied by on its way to the backward


class Host(Protocol):
    """What the watch has to know of a training loop."""

    @property
    def model(self) -> Any:
        """The network, whose ``named_parameters`` and ``named_modules`` name everything."""
        ...

    @property
    def step(self) -> int:
        """The x axis of the user's own loss curve; the same for all moments of one real step."""
        ...

    @property
    def global_step(self) -> int:
        """How many optimizer steps there were, as the host counts them."""
        ...

    @property
    def epoch(self) -> int:
        """The running epoch."""
        ...

    @property
    def optimizers(self) -> list[Any]:
        """The torch optimizers."""
        ...

    @property
    def by_hand(self) -> bool:
        """Whether the user calls backward and step: several losses, several steps, clipping whenever it pleases."""
        ...

    @property
    def has_scaler(self) -> bool:
        """Whether an AMP gradient scaler may skip steps."""
        ...

    @property
    def loss_scale(self) -> float:
        """What the scaler multiplies losses by now; 1 without one.  Waits for the device."""
        ...

    @property
    def completes_window(self) -> bool:
        """Whether the batch at hand is the last of its accumulation window, after which the optimizer steps."""
        ...

    @property
    def may_end_here(self) -> bool:
        """Whether the fit is known to end with the batch at hand."""
        ...

    @property
    def should_stop(self) -> bool:
        """Whether somebody has asked the fit to end."""
        ...

    @property
    def checks_here(self) -> bool:
        """Whether a validation or the end of the epoch follows the batch at hand: early stopping looks there."""
        ...

    @property
    def idle(self) -> bool:
        """Whether the batch at hand made no optimizer step although others do: the user accumulates by hand."""
        ...

    @property
    def is_searching(self) -> bool:
        """Whether these steps are not the fit's but a search for a learning rate or a batch size, undone afterwards."""
        ...

    def begins_batch(self) -> None:
        """A batch starts."""
        ...

    @property
    def engine(self) -> Any:
        """What the strategy made of the model: its wrapper around it, or the model itself."""
        ...

    @property
    def ranks(self) -> dict[str, Any]:
        """How many processes train together: ``size``, ``losses`` and ``device`` of ``measure.ranks.Ranks``."""
        ...

    def window(self, batch: int) -> tuple[int, int]:
        """How many micro-batches the gradient of this batch holds, and how many its loss was divided by."""
        ...

    def backward(self, loss: Any) -> Backward | None:
        """What the backward of this loss is; None: it has no graph."""
        ...

    def gradient_scale(self, optimizer: Any) -> float:
        """What to divide this optimizer's gradients by, right before it steps, to get the true ones."""
        ...

    def any_rank(self, decision: bool) -> bool:
        """Whether any rank decided so: every rank must ask on the same steps."""
        ...

    @property
    def planned_steps(self) -> float:
        """How many optimizer steps there will be in all; infinite where nobody knows."""
        ...

    def fresh_batches(self) -> Iterable[Any]:
        """Training batches as the network gets them, read anew; none where the data can be read only once."""
        ...

    @property
    def reads_once(self) -> bool:
        """Whether the training data is a stream, which gives its batches once."""
        ...

    def midway(self) -> dict[str, Any]:
        """Where the fit stands and what is done around its steps, for copies: arguments of ``verify.stage.Midway``."""
        ...

    @property
    def is_alone(self) -> bool:
        """Whether this process trains by itself."""
        ...

    @property
    def leads(self) -> bool:
        """Whether this process is rank 0."""
        ...

    @property
    def hindrance(self) -> str:
        """Why the network cannot get other parts while it is trained, one sentence; "" where it can."""
        ...

    @property
    def holds_copy(self) -> str:
        """Who holds a copy of the network that is brought up to date, part by part; "": nobody."""
        ...

    def from_rank_zero(self, value: Any) -> Any:
        """What rank 0 has: every rank must ask on the same steps."""
        ...

    def edited(self) -> None:
        """The network has other parameters now, alike on all ranks."""
        ...

    def switched(self) -> None:
        """Optimizers may be of another class now."""
        ...

    def publish(self, values: Mapping[str, float]) -> None:
        """Let others monitor these values."""
        ...

    def stop(self) -> None:
        """End the fit."""
        ...
