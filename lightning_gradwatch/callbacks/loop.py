"""The watch in a training loop of the user's own: Lightning Fabric, or plain PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.callbacks.loop_host import LoopHost
from lightning_gradwatch.callbacks.policy import CHOICES, OnVanishing
from lightning_gradwatch.callbacks.readable import Readable
from lightning_gradwatch.callbacks.settings import Settings
from lightning_gradwatch.callbacks.watch import Watch
from lightning_gradwatch.detect.profiles import Profile
from lightning_gradwatch.errors import WrongArgument


class LoopWatch(Readable):
    """Watches a training loop of your own as ``GradWatch`` watches a Trainer's: same measures, verdicts and sinks.

    Put ``with watch.step(loss):`` around the backward and the optimizer's step of every batch.  On the steps that are
    not measured that costs a few microseconds.

    Args:
        model: the network, wrapped by Fabric, DDP or ``torch.compile`` or not.
        optimizers: one torch optimizer, or several.
        scaler: the ``torch.amp.GradScaler`` that scales the loss, if there is one; Fabric's own is found through
            ``fabric``.
        fabric: a ``lightning.fabric.Fabric``: brings its scaler and its loggers.
        loggers: where scalars, pictures and findings go: loggers of Lightning or Fabric, or
            ``torch.utils.tensorboard.SummaryWriter`` objects.
        every_n_steps: as in ``GradWatch``, and so are the rest.
        on_vanishing: as in ``GradWatch``; ``"stop"`` sets ``watch.should_stop``, which the loop may ask.
        decay_factor: what ``"decay_lr"`` multiplies the learning rates by, each time.
        min_lr: no learning rate is brought below this.
        cooldown_steps: least number of steps between two decays.
        max_decays: most decays in one fit.
        record_to: a file that takes every record as a line of JSON.
        picture_every_n_steps: least number of steps between two pictures of the flow; 0 draws none.
        verbose: whether to speak on the console.
        strict: raise errors of the watch itself.
        name: tells several watches apart.
        ignore: as in ``GradWatch``.
        profile: as in ``GradWatch``.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with LoopWatch(model, optimizer, verbose=False) as watch:
        ...     for _ in range(3):
        ...         loss = model(torch.ones(4, 2)).square().mean()
        ...         with watch.step(loss):
        ...             loss.backward()
        ...             optimizer.step()
        ...             optimizer.zero_grad()
        >>> [frame.step for frame in watch.report.frames]
        [0, 1, 2]
    """

    def __init__(
        self,
        model: Any,
        optimizers: Any,
        *,
        scaler: Any = None,
        fabric: Any = None,
        loggers: Sequence[Any] = (),
        every_n_steps: int = 100,
        on_vanishing: OnVanishing = "warn",
        decay_factor: float = 0.5,
        min_lr: float = 1e-7,
        cooldown_steps: int = 200,
        max_decays: int = 3,
        record_to: str | None = None,
        picture_every_n_steps: int = 1000,
        verbose: bool = True,
        strict: bool = False,
        name: str = "gradwatch",
        ignore: dict[str, str] | None = None,
        profile: Profile = "gradwatch",
    ) -> None:
        if on_vanishing == "heal":
            raise WrongArgument(
                "on_vanishing",
                "one of the words below in a loop: to be healed, a fit needs a Trainer",
                on_vanishing,
                [one for one in CHOICES if one != "heal"],
            )
        self._watch = Watch(
            Settings(
                every_n_steps=every_n_steps,
                on_vanishing=on_vanishing,
                decay_factor=decay_factor,
                min_lr=min_lr,
                cooldown_steps=cooldown_steps,
                max_decays=max_decays,
                record_to=record_to,
                picture_every_n_steps=picture_every_n_steps,
                verbose=verbose,
                strict=strict,
                name=name,
                ignore=ignore,
                profile=profile,
            )
        )
        scaler = scaler if scaler is not None else _lightning.scaler_of(fabric)
        self._host = LoopHost(_lightning.unwrapped_module(model), _checked(optimizers), scaler)
        self._loggers = [*loggers, *getattr(fabric, "loggers", ())]
        self._open = False

    @property
    def should_stop(self) -> bool:
        """Whether ``on_vanishing="stop"`` asks the loop to end."""
        return self._host.should_stop

    @contextmanager
    def step(self, loss: Any) -> Iterator[LoopWatch]:
        """One batch: its backward and, at the end of an accumulation window, its optimizer step stand inside.

        Args:
            loss: the loss whose backward comes next, neither scaled nor divided if its true size is to be told.
        """
        if not self._open:
            self._open = True
            self._host.open()
            self._watch.begins(self._host, lambda: self._loggers, _lightning.is_rank_zero())
        self._watch.batch_begins()
        self.backward(loss)
        try:
            yield self
        except BaseException:
            self._leave(dying=True)
            raise
        self._watch.batch_ends(self._host.step)
        self._host.step += 1

    def backward(self, loss: Any) -> None:
        """A further loss, whose backward comes next in the same step."""
        self._watch.backward_begins(loss)
        if self._watch.measures:
            self._host.when_done(loss, self._watch.backward_ends)

    def close(self) -> None:
        """The loop is over: last picture, last line, nothing left behind.  A later step opens it again."""
        if self._open:
            self._watch.ends()
            self._leave()

    def _network(self) -> Any:
        return self._host.model

    def _leave(self, *, dying: bool = False) -> None:
        self._open = False
        try:
            self._watch.leaves(dying=dying)
        finally:
            self._host.close()

    def __enter__(self) -> LoopWatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint of the loop should carry, so that a resumed loop goes on as if it had never stopped."""
        return {**self._watch.state(), "step": self._host.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave; a state that cannot be read is said once and ignored."""
        self._watch.restore(state_dict)
        step = state_dict.get("step", 0)
        self._host.step = step if isinstance(step, int) else 0


def _checked(optimizers: Any) -> list[Any]:
    given = list(optimizers) if isinstance(optimizers, Iterable) else [optimizers]
    found = [_lightning.unwrapped(optimizer) for optimizer in given]
    for optimizer in found:
        if not hasattr(optimizer, "register_step_pre_hook"):
            raise WrongArgument("optimizers", "torch optimizers, which have step hooks", type(optimizer).__name__)
    return found
