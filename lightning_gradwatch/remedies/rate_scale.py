"""A learning-rate factor that sticks under every scheduler, because no scheduler ever sees it.

The factor is kept here and not in the optimizer.  It is multiplied into ``group["lr"]`` when ``optimizer.step`` begins
and taken out again before anybody else can look: schedulers, checkpoints and the user's own code meet clean rates.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lightning_gradwatch._lightning import unwrapped
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.scaled_group import ScaledGroup, is_tensor


class RateScale:
    """Multiplies the learning rates of optimizers while they step, and only then.

    Inside the closure that Lightning (or LBFGS) hands to ``optimizer.step`` the rates are clean as well, so that a
    ``training_step`` may read and write them: what it writes is scaled like everything else, once.

    Args:
        factor: what the rates are multiplied by; 1 leaves everything alone.
        floor: a group's rate is never scaled below it; a rate that is lower by itself stays as it is.
        only: whether a parameter group is scaled; None: all are.

    Raises:
        WrongArgument: ``factor`` is not a finite number above 0, or ``floor`` not a finite number of at least 0.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.tensor(1.0))
        >>> optimizer = torch.optim.SGD([weight], lr=0.5)
        >>> scale = RateScale()
        >>> scale.attach([optimizer])
        >>> scale.scale(0.25)
        ((0.5,), (0.125,))
        >>> weight.grad = torch.tensor(1.0)
        >>> optimizer.step()
        >>> weight.item(), optimizer.param_groups[0]["lr"]
        (0.875, 0.5)
        >>> scale.detach()
    """

    def __init__(
        self, factor: float = 1.0, floor: float = 0.0, only: Callable[[dict[str, Any]], bool] | None = None
    ) -> None:
        self.factor = _positive("factor", factor)
        if not (math.isfinite(floor) and floor >= 0):
            raise WrongArgument("floor", "a finite number of at least 0", floor)
        self.floor = float(floor)
        self._only = only
        self._forget()

    def attach(self, optimizers: Iterable[Any], active: Callable[[], bool] | None = None) -> None:
        """Scale these optimizers too from now on; one that is attached already stays attached once.

        Args:
            optimizers: the optimizers of a fit.
            active: asked before every step: whether it is scaled.  A search for a learning rate steps with the fit's
                optimizers too, and must find the clean one.

        Raises:
            WrongArgument: one of them is not an optimizer of torch's kind.
        """
        for optimizer in map(unwrapped, optimizers):
            if not hasattr(optimizer, "register_step_pre_hook"):
                raise WrongArgument("optimizers", "torch optimizers, which have step hooks", type(optimizer).__name__)
            if not self._is_attached(optimizer):
                before = optimizer.register_step_pre_hook(self._before_step)
                after = optimizer.register_step_post_hook(self._after_step)
                # Scales of one optimizer lie around each other: the one that went in last comes out first.
                optimizer._optimizer_step_post_hooks.move_to_end(after.id, last=False)
                self._attached.append((weakref.ref(optimizer), (before, after)))
        self._active = active or self._active

    def scale(self, by: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Multiply the factor; returns the effective rates before and after it.

        Raises:
            WrongArgument: ``by`` is not a finite number above 0.
        """
        return self.set(self.factor * _positive("by", by))

    def set(self, factor: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Exchange the factor, 1 undoes all scaling exactly; returns the effective rates before and after it.

        Raises:
            WrongArgument: ``factor`` is not a finite number above 0.
        """
        old, self.factor = self.effective_rates(), _positive("factor", factor)
        for optimizer in [o for o in self._optimizers() if id(o) in self._live]:
            self._clean(optimizer)
            self._apply(optimizer)
        return old, self.effective_rates()

    def effective_rates(self) -> tuple[float, ...]:
        """The rate that each parameter group really steps with, all attached optimizers in order."""
        return tuple(rate for optimizer in self._optimizers() for rate in self.rates_of(optimizer))

    def rates_of(self, optimizer: Any) -> tuple[float, ...]:
        """The rate that each group of this optimizer really steps with, whoever else scales it too."""
        raw = unwrapped(optimizer)
        scales = [scale for scale in _scales_on(raw) if scale._active()]
        clean = _clean_rates(raw)
        return tuple(float(_through(scales, group, clean.get(id(group), group["lr"]))) for group in _groups(raw))

    def reapply(self, optimizer: Any) -> None:
        """Scale what was written into a stepping optimizer from outside its closure; else nothing.

        Rarely needed: writes inside the closure, ``on_before_optimizer_step`` of a Lightning fit included, are met.
        """
        optimizer = unwrapped(optimizer)
        if id(optimizer) in self._live:
            self._apply(optimizer)

    def put_in(self, optimizer: Any) -> None:
        """Scale the rest of a step under way, which began with a factor of 1 that is another now."""
        if self._active():
            self._apply(unwrapped(optimizer))

    def restore(self) -> None:
        """Put clean rates back now.  For exceptions, after which an optimizer calls no hook."""
        for optimizer in self._optimizers():
            self._clean(optimizer)
        self._live.clear()

    def detach(self) -> None:
        """Let go of all optimizers: their rates clean, hooks and references gone.  The factor is kept."""
        self.restore()
        for _, handles in self._attached:
            for handle in handles:
                handle.remove()
        self._forget()

    def _forget(self) -> None:
        self._attached: list[tuple[weakref.ref[Any], tuple[Any, ...]]] = []
        self._live: dict[int, list[ScaledGroup]] = {}  # id(optimizer) -> its scaled groups, while it steps
        self._active: Callable[[], bool] = _always

    def _optimizers(self) -> Iterator[Any]:
        return (optimizer for optimizer in (reference() for reference, _ in self._attached) if optimizer is not None)

    def _is_attached(self, optimizer: Any) -> bool:
        return any(optimizer is other for other in self._optimizers())

    # --- around one step --------------------------------------------------------------------------------------------

    def _before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._clean(optimizer)  # a step that died half-way left it scaled
        if self.factor == 1 or not self._active():
            return None
        self._apply(optimizer)  # before the closure too: LBFGS reads its rate before it calls it
        return with_closure(args, kwargs, lambda closure: self._wrapped(optimizer, closure))

    def _wrapped(self, optimizer: Any, closure: Callable[..., Any]) -> Callable[..., Any]:
        def clean_inside(*args: Any, **kwargs: Any) -> Any:
            self._clean(optimizer)
            result = closure(*args, **kwargs)  # an exception in here leaves clean rates behind
            self._apply(optimizer)
            return result

        return clean_inside

    def _after_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._clean(optimizer)

    def _apply(self, optimizer: Any) -> None:
        kept = {id(item.group): item for item in self._live.get(id(optimizer), ()) if item.intact}
        below = _outermost(_scales_on(optimizer), optimizer)
        self._live[id(optimizer)] = [
            kept.get(id(group)) or ScaledGroup.write(group, self._scaled(group, group["lr"]), below.get(id(group)))
            for group in _groups(optimizer)
        ]

    def _clean(self, optimizer: Any) -> None:
        for item in self._live.pop(id(optimizer), ()):
            item.restore()

    def _scaled(self, group: dict[str, Any], rate: Any) -> Any:
        if self._only is not None and not self._only(group):
            return rate
        if is_tensor(rate):
            rate = rate.detach()
            return (rate * self.factor).maximum(rate.clamp(max=self.floor))
        return max(rate * self.factor, min(rate, self.floor)) if self.factor != 1 else rate

    # --- copies: a deep-copied or pickled optimizer has no hooks, so neither has a copied scale ----------------------

    def __getstate__(self) -> dict[str, float]:
        return {"factor": self.factor, "floor": self.floor}

    def __setstate__(self, state: dict[str, float]) -> None:
        self.factor, self.floor, self._only = state["factor"], state["floor"], None
        self._forget()


def _always() -> bool:
    return True


def _groups(optimizer: Any) -> list[dict[str, Any]]:
    """The groups that have a learning rate: not every optimizer's do."""
    return [group for group in optimizer.param_groups if "lr" in group]


def _scales_on(optimizer: Any) -> list[RateScale]:
    """Those attached to an optimizer, in the order in which they scale."""
    hooks = getattr(optimizer, "_optimizer_step_pre_hooks", {}).values()
    owners = (getattr(hook, "__self__", None) for hook in hooks)
    return [owner for owner in owners if isinstance(owner, RateScale)]


def _outermost(scales: list[RateScale], optimizer: Any) -> dict[int, ScaledGroup]:
    """By ``id`` of a group, the scale that was put in last and is still there."""
    live = {id(item.group): item for scale in scales for item in scale._live.get(id(optimizer), ())}
    return {key: item for key, item in live.items() if item.intact}


def _clean_rates(optimizer: Any) -> dict[int, Any]:
    """By ``id`` of a group that is scaled now, its rate without any: the scale that was put in first has it."""
    scales = _scales_on(optimizer)
    outer, inner = _outermost(scales, optimizer), {}
    for scale in reversed(scales):
        inner.update({id(item.group): item.clean for item in scale._live.get(id(optimizer), ())})
    return {key: inner[key] for key in outer}


def _through(scales: list[RateScale], group: dict[str, Any], rate: Any) -> Any:
    for scale in scales:
        rate = scale._scaled(group, rate)
    return rate


def with_closure(args: tuple[Any, ...], kwargs: dict[str, Any], wrap: Callable[[Any], Any]) -> Any:
    """The arguments of ``step`` with its closure wrapped; None where it got none.  ``args[0]`` is the optimizer."""
    if callable(kwargs.get("closure")):
        return args, {**kwargs, "closure": wrap(kwargs["closure"])}
    if len(args) > 1 and callable(args[1]):
        return (args[0], wrap(args[1]), *args[2:]), kwargs
    return None


def _positive(argument: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise WrongArgument(argument, "a finite number above 0", value)
    return float(value)
