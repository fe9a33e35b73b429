"""Checks what users pass, so that a mistake is told at once and not at step 40,000."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lightning_gradwatch.errors import WrongArgument


def word(name: str, value: object, allowed: Iterable[str]) -> None:
    """One of the allowed words.

    Raises:
        WrongArgument: it is none of them.
    """
    words = tuple(allowed)
    if value not in words:
        raise WrongArgument(name, "one of the words below", value, words)


def whole(name: str, value: object, least: int) -> None:
    """A whole number that is not too small.

    Raises:
        WrongArgument: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise WrongArgument(name, f"a whole number of at least {least}", value)


def number(name: str, value: object, low: float, high: float, rule: str) -> None:
    """A finite number, ``low <= value < high``.

    Raises:
        WrongArgument: it is not; the message gives the rule in words.
    """
    ok = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and low <= value < high
    )
    if not ok:
        raise WrongArgument(name, rule, value)


def switch(name: str, value: object) -> None:
    """True or False.

    Raises:
        WrongArgument: it is neither.
    """
    if not isinstance(value, bool):
        raise WrongArgument(name, "True or False", value)


def filled(name: str, value: object) -> None:
    """A text that is not empty.

    Raises:
        WrongArgument: it is not a text, or empty.
    """
    if not isinstance(value, str) or not value:
        raise WrongArgument(name, "a text that is not empty", value)
