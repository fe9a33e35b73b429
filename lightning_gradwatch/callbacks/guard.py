"""Never the reason a fit dies: an error inside the watch is reported once and switches the watch off."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol

P = ParamSpec("P")


class Guarded(Protocol):
    """What ``guarded`` needs of the class whose methods it wraps."""

    strict: bool
    is_off: bool

    def _switch_off(self, stage: str, error: Exception) -> None: ...


def guarded(hook: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    """Run a hook only while the watch is on; on an error switch it off, or raise with ``strict=True``.

    KeyboardInterrupt and SystemExit are the user's and pass.
    """
    return _wrapped(hook, always=False)


def sheltered(hook: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    """Like ``guarded``, but also while the watch is off: what all ranks must do alike, whoever's watch has failed."""
    return _wrapped(hook, always=True)


def _wrapped(hook: Callable[Concatenate[Any, P], None], *, always: bool) -> Callable[Concatenate[Any, P], None]:
    @functools.wraps(hook)
    def wrapper(self: Guarded, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.is_off and not always:
            return
        try:
            hook(self, *args, **kwargs)
        except Exception as error:
            self._switch_off(hook.__name__.strip("_"), error)
            if self.strict:
                raise

    return wrapper
